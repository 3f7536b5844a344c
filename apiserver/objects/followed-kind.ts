// One kind of objects as they were last seen: what a watch loop tells, kept by name, and whether it
// is known whole. Objects that do not concern us are not kept, and of the others only what is used.
import {
  apiObjectKey,
  type ApiObject,
  type WatchChange,
} from "../../mesh/kubernetes/watch-state.ts";

/** What the planner may see. */
export interface KnownKind<T extends ApiObject> {
  /** All of them have been read at least once: what is not here does not exist. */
  readonly whole: boolean;
  find(name: string): T | undefined;
  all(): readonly T[];
}

export class FollowedKind<T extends ApiObject> implements KnownKind<T> {
  readonly #objects = new Map<string, T>();
  readonly #keep: (object: ApiObject) => T | undefined;
  readonly #changed: () => void;
  #whole = false;

  constructor(options: {
    /** What is kept of an object; undefined for one that does not concern us. */
    readonly keep: (object: ApiObject) => T | undefined;
    readonly changed: () => void;
  }) {
    this.#keep = options.keep;
    this.#changed = options.changed;
  }

  get whole(): boolean {
    return this.#whole;
  }

  /** Sorted, so that whatever follows from several is the same whoever came first. */
  all(): readonly T[] {
    return [...this.#objects.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  find(name: string): T | undefined {
    return this.all().find(({ metadata }) => metadata.name === name);
  }

  /** An answer to a write of ours, which the watch will tell later. */
  put(object: ApiObject): void {
    const kept = this.#keep(object);
    if (kept !== undefined) this.#objects.set(apiObjectKey(object), kept);
  }

  apply(change: WatchChange): void {
    switch (change.kind) {
      case "put": {
        const known = this.#objects.has(apiObjectKey(change.object));
        this.put(change.object);
        if (known || this.#objects.has(apiObjectKey(change.object))) this.#changed();
        return;
      }
      case "delete":
        if (this.#objects.delete(change.key)) this.#changed();
        return;
      case "retain":
        for (const key of this.#objects.keys()) {
          if (!change.keys.has(key)) this.#objects.delete(key);
        }
        this.#whole = true;
        this.#changed();
        return;
    }
  }
}

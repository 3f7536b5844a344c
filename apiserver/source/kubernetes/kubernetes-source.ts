// A Kubernetes API as the cluster's state: one watch loop a kind fills the source's tables. An
// object that cannot be used is a problem in status; its last good state stays in force.
import { messageFromError } from "../../../mesh/core/errors.ts";
import type { Clock } from "../../../mesh/core/clock.ts";
import type { Logger } from "../../../mesh/core/logger.ts";
import { runTasks } from "../../../mesh/core/tasks.ts";
import { Fields } from "../fields.ts";
import {
  putObject,
  SOURCE_KINDS,
  type SourceKind,
  type SourceProblem,
  type SourceStatus,
  type WritableSource,
} from "../objects.ts";
import { closedObject } from "../policy/closed-object.ts";
import { createDefinedKind } from "./defined-kind.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { JSON_TREE } from "./json-tree.ts";
import { KINDS } from "./kinds.ts";
import type { KubernetesTransport } from "../../../mesh/kubernetes/transport.ts";
import {
  createWatchLoop,
  LONE_WATCH_LIMITS,
  type WatchCounts,
  type WatchLimits,
  type WatchLoop,
} from "../../../mesh/kubernetes/watch-loop.ts";
import {
  apiObjectKey,
  type ApiObject,
  type WatchChange,
} from "../../../mesh/kubernetes/watch-state.ts";

export interface KubernetesSourceOptions {
  readonly transport: KubernetesTransport;
  readonly source: WritableSource;
  /** Of the kinds whose owners are told. */
  readonly events: ReadonlyMap<SourceKind, EventRecorder>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Those of who is the only one to ask if left out. */
  readonly limits?: WatchLimits;
}

export interface KubernetesSource {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  status(): SourceStatus;
  /** Of all kinds together. */
  counts(): WatchCounts;
}

export function createKubernetesSource(options: KubernetesSourceOptions): KubernetesSource {
  const { events } = options;
  const kinds = SOURCE_KINDS.map((kind) => {
    const followed = new FollowedKind(kind, options);
    return { kind, followed, loop: createKindLoop(kind, { ...options, followed }) };
  });
  return {
    run: (signal) =>
      runTasks(
        [
          ...kinds.map(({ kind, loop }) => ({
            name: `follow ${kind}`,
            run: (inner: AbortSignal) => loop.run(inner),
          })),
          ...[...events].map(([kind, recorder]) => ({
            name: `events of ${kind}`,
            run: (inner: AbortSignal) => recorder.run(inner),
          })),
        ],
        signal,
      ),
    status: () => ({
      files: 0,
      problems: [
        ...kinds.flatMap(({ kind, loop }) => loopProblem(kind, loop)),
        ...kinds.flatMap(({ followed }) => followed.problems()),
      ],
    }),
    counts: () => sumOf(kinds.map(({ loop }) => loop.counts())),
  };
}

function createKindLoop(
  kind: SourceKind,
  options: KubernetesSourceOptions & { readonly followed: FollowedKind },
): WatchLoop {
  const { transport, followed, limits = LONE_WATCH_LIMITS } = options;
  const { path, definition } = KINDS[kind];
  const pathOf = (signal: AbortSignal): Promise<string> => path(transport, signal);
  const createLoop = (asked: typeof pathOf): WatchLoop =>
    createWatchLoop({ ...options, limits, path: asked, apply: (change) => followed.apply(change) });
  if (definition === undefined) return createLoop(pathOf);
  return createDefinedKind({
    ...options,
    maxBackoffMs: limits.maxBackoffMs,
    definition,
    path: pathOf,
    createLoop,
    undefined: () => followed.apply({ kind: "retain", keys: new Set() }),
  });
}

/** One table and what is wrong with the objects that belong in it. */
class FollowedKind {
  readonly #kind: SourceKind;
  readonly #options: KubernetesSourceOptions;
  readonly #problems = new Map<string, readonly SourceProblem[]>();

  constructor(kind: SourceKind, options: KubernetesSourceOptions) {
    this.#kind = kind;
    this.#options = options;
  }

  apply(change: WatchChange): void {
    switch (change.kind) {
      case "put":
        this.#put(change.object);
        return;
      case "delete":
        this.#delete(change.key);
        return;
      case "retain":
        this.#retain(change.keys);
        return;
    }
  }

  problems(): SourceProblem[] {
    return [...this.#problems.values()].flat();
  }

  #put(object: ApiObject): void {
    const key = apiObjectKey(object);
    const problems: SourceProblem[] = [];
    const note = (severity: SourceProblem["severity"], message: string): void => {
      problems.push({ ...NO_PLACE, severity, message, object: `${this.#kind} ${key}` });
    };
    const fields = new Fields(object, { tree: JSON_TREE, path: "", offset: 0 });
    try {
      const converted = KINDS[this.#kind].convert(fields, (_, message) => note("warning", message));
      if (converted === undefined) this.#options.source[this.#kind].delete(key);
      else putObject(this.#options.source, converted);
    } catch (error) {
      // Whatever an object holds, it must not take the others with it.
      note("error", messageFromError(error));
      this.#closeUnread(key, { fields, reason: messageFromError(error) });
    }
    this.#report(key, { object, problems });
  }

  /** A policy that never could be read closes what it may be about. */
  #closeUnread(key: string, unread: { readonly fields: Fields; readonly reason: string }): void {
    const { source } = this.#options;
    if (source[this.#kind].get(key) !== undefined) return;
    const closed = closedObject(unread.fields, { kind: this.#kind, reason: unread.reason });
    if (closed !== undefined) putObject(source, closed);
  }

  #report(key: string, found: { object: ApiObject; problems: readonly SourceProblem[] }): void {
    const { object, problems } = found;
    const before = new Set(this.#problems.get(key)?.map(({ message }) => message));
    for (const problem of problems) {
      if (before.has(problem.message)) continue;
      this.#options.log.warn("Object is not as it should be", {
        object: problem.object,
        reason: problem.message,
      });
    }
    if (problems.length === 0) this.#problems.delete(key);
    else this.#problems.set(key, problems);
    this.#options.events.get(this.#kind)?.setProblems(
      object,
      problems.map(({ message }) => message),
    );
  }

  #delete(key: string): void {
    this.#options.source[this.#kind].delete(key);
    this.#problems.delete(key);
    this.#options.events.get(this.#kind)?.forget(key);
  }

  #retain(keys: ReadonlySet<string>): void {
    const table = this.#options.source[this.#kind];
    const known = [...[...table.entries()].map(([key]) => key), ...this.#problems.keys()];
    for (const key of known) if (!keys.has(key)) this.#delete(key);
    if (table.synced) return;
    table.markSynced();
    this.#options.log.info("Objects are read", { kind: this.#kind, objects: table.size });
  }
}

function sumOf(counts: readonly WatchCounts[]): WatchCounts {
  const sum = (name: keyof WatchCounts): number =>
    counts.reduce((total, each) => total + each[name], 0);
  return {
    lists: sum("lists"),
    expired: sum("expired"),
    doubts: sum("doubts"),
    silent: sum("silent"),
  };
}

const NO_PLACE = { file: "", line: 0, column: 0 };

function loopProblem(kind: SourceKind, loop: WatchLoop): SourceProblem[] {
  const reason = loop.problem();
  if (reason === "") return [];
  const message = `Cannot follow objects of kind ${kind}: ${reason}`;
  return [{ ...NO_PLACE, severity: "error", message, object: "" }];
}

// Which number stands for which label set. Numbers are stable: a set keeps its number while
// anything uses it, over restarts and for a grace period after the last use, and a number that
// was given back means nothing else for a good while, because caches everywhere may still know
// it by its old meaning. No I/O here; snapshot.ts keeps the state on disk.
//
//   free ──assign──► in use ──last release──► idle ──grace──► retired ──quarantine──► free
//                      ▲                       │
//                      └───────assign──────────┘
import { MeshError } from "../../mesh/core/errors.ts";
import type { IdentityNumber, IdentityRange } from "../../mesh/core/identity.ts";
import { createTable, type Table } from "../../mesh/core/table.ts";

/** How long a set without users keeps its number: a rolled-back or restarted workload finds it. */
export const IDLE_GRACE_MS = 15 * 60_000;
/** How long a number rests before it means something else: longer than any lease or cache lives. */
export const QUARANTINE_MS = 60 * 60_000;

export interface IdentityAllocator {
  /** Rows: labels in canonical order, keyed by the number's decimal text. */
  readonly table: Table<readonly string[]>;
  /**
   * The number of `owner`'s label set; a set that the owner had before is released. Throws
   * `resource_exhausted` when every number is in use, idle or in quarantine.
   */
  assign(owner: string, labels: readonly string[]): IdentityNumber;
  release(owner: string): void;
  /** Takes over what is known from before. Earlier calls win; foreign numbers are ignored. */
  restore(state: AllocatorState): void;
  /** Retires what has been idle for long enough and frees what has rested. */
  collect(): void;
  state(): AllocatorState;
  counts(): { readonly inUse: number; readonly retired: number; readonly capacity: number };
}

/** Plain data, as it stands in the snapshot. */
export interface AllocatorState {
  readonly next: IdentityNumber;
  readonly identities: readonly {
    readonly number: IdentityNumber;
    readonly labels: readonly string[];
  }[];
  readonly retired: readonly { readonly number: IdentityNumber; readonly atMs: number }[];
}

interface Entry {
  readonly number: IdentityNumber;
  readonly labels: readonly string[];
  readonly owners: Set<string>;
  idleSinceMs: number;
}

export function createIdentityAllocator(options: {
  range: IdentityRange;
  nowMs: () => number;
}): IdentityAllocator {
  const { range, nowMs } = options;
  const capacity = range.last - range.first + 1;
  const table = createTable<readonly string[]>({ name: "identities" });
  const byLabels = new Map<string, Entry>();
  const byOwner = new Map<string, Entry>();
  const retired = new Map<IdentityNumber, number>();
  let next = range.first;

  const taken = (number: IdentityNumber): boolean =>
    retired.has(number) || table.get(String(number)) !== undefined;

  function free(): IdentityNumber {
    // Round and round, so that the number given back longest ago is used first.
    for (let tried = 0; tried < capacity; tried++) {
      const number = next;
      next = next === range.last ? range.first : next + 1;
      if (!taken(number)) return number;
    }
    throw new MeshError(
      "resource_exhausted",
      `Cannot allocate an identity: all ${capacity} numbers of the cluster are in use or resting`,
      { hint: "use fewer distinct pod labels; numbers return an hour after their last use" },
    );
  }

  function add(number: IdentityNumber, labels: readonly string[]): Entry {
    const entry = { number, labels, owners: new Set<string>(), idleSinceMs: nowMs() };
    byLabels.set(labels.join(";"), entry);
    table.put(String(number), labels);
    return entry;
  }

  function release(owner: string): void {
    const entry = byOwner.get(owner);
    if (entry === undefined) return;
    byOwner.delete(owner);
    entry.owners.delete(owner);
    if (entry.owners.size === 0) entry.idleSinceMs = nowMs();
  }

  return {
    table,
    assign(owner, labels) {
      const entry = byLabels.get(labels.join(";")) ?? add(free(), labels);
      if (byOwner.get(owner) !== entry) {
        release(owner);
        byOwner.set(owner, entry);
        entry.owners.add(owner);
      }
      return entry.number;
    },
    release,
    restore(state) {
      if (inRange(state.next, range)) next = state.next;
      for (const { number, labels } of state.identities) {
        if (!inRange(number, range) || taken(number)) continue;
        // Two numbers for one set: the first known stays, the other must not be given away yet.
        if (byLabels.has(labels.join(";"))) retired.set(number, nowMs());
        else add(number, labels);
      }
      for (const { number, atMs } of state.retired) {
        if (inRange(number, range) && !taken(number)) retired.set(number, atMs);
      }
    },
    collect() {
      const now = nowMs();
      for (const [labels, entry] of byLabels) {
        if (entry.owners.size > 0 || now - entry.idleSinceMs < IDLE_GRACE_MS) continue;
        byLabels.delete(labels);
        retired.set(entry.number, now);
        table.delete(String(entry.number));
      }
      for (const [number, atMs] of retired) {
        if (now - atMs >= QUARANTINE_MS) retired.delete(number);
      }
    },
    state: () => ({
      next,
      identities: [...byLabels.values()].map(({ number, labels }) => ({ number, labels })),
      retired: [...retired].map(([number, atMs]) => ({ number, atMs })),
    }),
    counts: () => ({ inUse: byLabels.size, retired: retired.size, capacity }),
  };
}

function inRange(number: IdentityNumber, range: IdentityRange): boolean {
  return Number.isInteger(number) && number >= range.first && number <= range.last;
}

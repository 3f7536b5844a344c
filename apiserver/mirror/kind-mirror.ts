// One kind of one peer: from what the session has read and validated to what our cache holds.
// Between the two stand the claims: a record that speaks for others' addresses stays outside.
//
//   session table (name → value, addresses) ─► claims ─► desired table (cache key → value) ─► etcd
//
// Values pass through as the peer wrote them. What the cache held before a restart is put into
// the session's table before the session begins, so that its rules on absence hold for it too.
import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { createTable, type Table, type WritableTable } from "../../mesh/core/table.ts";
import type { SessionKind } from "../../mesh/kvstore/session-kind.ts";
import { bufferTable } from "../export/desired.ts";
import type { Claims } from "./claims.ts";

/** A record as it was read: its bytes, and the addresses that it speaks for. */
export interface MirroredRecord {
  readonly value: Buffer;
  readonly claims: readonly string[];
}

export interface KindMirrorOptions {
  readonly peer: string;
  /** Below it stand the cached keys of this kind and peer; ends with "/". */
  readonly cachePrefix: string;
  readonly claims: Claims;
  readonly parse: (name: string, value: Buffer, cluster: ClusterIdentity) => MirroredRecord;
}

export interface KindMirrorStatus {
  readonly records: number;
  readonly mirrored: number;
  readonly claimsRefused: number;
  readonly latestRefusals: readonly string[];
}

export interface KindMirror {
  /** For the session to fill. */
  readonly table: WritableTable<MirroredRecord>;
  /** For a kind writer to carry to etcd; synced once the session's first list is through. */
  readonly desired: Table<Buffer>;
  /**
   * Takes over a record that our cache holds from before; to be called before the session runs.
   * One that is not valid by today's rules is left to the peer's next list.
   */
  adopt(name: string, value: Buffer, cluster: ClusterIdentity): void;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Looks again at what was refused or, after our own claims have grown, at everything. */
  review(which: "refused" | "all"): Promise<void>;
  /** Gives back every claim. The cache itself is not touched. */
  releaseClaims(): void;
  status(): KindMirrorStatus;
}

/** Records handled between two turns of the event loop: a few milliseconds of work, so that the
 * writer of what is through is kept busy. */
const CHUNK = 500;
/** So many latest reasons tell an operator what goes on. */
const KEPT_REASONS = 5;

export function createKindMirror(options: KindMirrorOptions): KindMirror {
  const { peer, cachePrefix, claims } = options;
  const table = createTable<MirroredRecord>({
    name: `mirror/${cachePrefix}`,
    equals: (a, b) => a.value.equals(b.value),
  });
  const desired = bufferTable(`cache/${cachePrefix}`);
  /** Claims held for accepted records, by name. */
  const accepted = new Map<string, readonly string[]>();
  const refused = new Map<string, string>();
  let latest: readonly string[] = [];
  let refusals = 0;

  function evaluate(name: string): void {
    const record = table.get(name);
    if (record === undefined) {
      drop(name);
      refused.delete(name);
      return;
    }
    const held = accepted.get(name);
    if (held !== undefined && isDeepStrictEqual(held, record.claims)) {
      desired.put(cachePrefix + name, record.value);
      return;
    }
    if (held !== undefined) claims.release(peer, held);
    accepted.delete(name);
    const conflict = claims.take(peer, record.claims);
    if (conflict === undefined) {
      accepted.set(name, record.claims);
      refused.delete(name);
      desired.put(cachePrefix + name, record.value);
    } else {
      desired.delete(cachePrefix + name);
      refuse(name, `${name}: ${conflict.prefix} belongs to "${conflict.owner}"`);
    }
  }

  function refuse(name: string, reason: string): void {
    if (refused.get(name) === reason) return;
    refused.set(name, reason);
    refusals++;
    latest = [reason, ...latest].slice(0, KEPT_REASONS);
  }

  function drop(name: string): void {
    const held = accepted.get(name);
    if (held !== undefined) claims.release(peer, held);
    accepted.delete(name);
    desired.delete(cachePrefix + name);
  }

  async function inChunks<R>(items: Iterable<R>, work: (item: R) => void): Promise<void> {
    let done = 0;
    for (const item of items) {
      work(item);
      if (++done % CHUNK === 0) await nextTurn();
    }
  }

  return {
    table,
    desired,
    adopt(name, value, cluster) {
      const record = attempt(() => options.parse(name, value, cluster));
      if (record === undefined) return;
      table.put(name, record);
      evaluate(name);
    },
    async run(signal) {
      for await (const names of table.changes(signal)) {
        await inChunks(names, evaluate);
        if (table.synced) desired.markSynced();
      }
    },
    async review(which) {
      if (which === "all") {
        await inChunks([...accepted], ([name, held]) => {
          if (held.every((prefix) => claims.conflict(peer, prefix) === undefined)) return;
          drop(name);
          evaluate(name);
        });
      }
      await inChunks([...refused.keys()], evaluate);
    },
    releaseClaims() {
      for (const held of accepted.values()) claims.release(peer, held);
      accepted.clear();
    },
    status: () => ({
      records: table.size,
      mirrored: desired.size,
      claimsRefused: refusals,
      latestRefusals: latest,
    }),
  };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** Reads a kind's records with `base`'s rules and keeps the bytes beside the claims. */
export function mirroredKind<T>(
  base: Omit<SessionKind<T>, "table">,
  claimsOf: (record: T) => readonly string[],
): Omit<SessionKind<MirroredRecord>, "table"> {
  return {
    ...base,
    parse: (name, value, cluster) => ({
      value,
      claims: claimsOf(base.parse(name, value, cluster)),
    }),
  };
}

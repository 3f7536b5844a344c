// Whether the kernel knows the prefixes that policies name: entries of policy maps speak of their
// numbers, so nobody may go on before the ipcache gives them out, or no longer does.
import { ipcacheKeyFromText } from "../../bpf/address.ts";
import type { IpcacheEntry, IpcacheKey } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { IpcacheRow } from "../plan/plan-ipcache.ts";
import type { CidrRow, PolicyChanges } from "../policy/engine.ts";

export interface CidrRowsOptions {
  readonly map: Pick<BpfMap<IpcacheKey, IpcacheEntry>, "get">;
  /** By prefix: whoever claims it. */
  readonly desired: Pick<Table<IpcacheRow>, "get">;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_INTERVAL_MS = 5;
/**
 * A map that has no room must not keep other pods from their policy. Addresses of a row that is
 * missing are the world's, or the wider prefix's.
 */
const WAIT_LIMIT_MS = 5_000;

/** Resolves when the map says so, after `WAIT_LIMIT_MS`, or when the signal aborts (rejecting). */
export function createRowsApplied(
  options: CidrRowsOptions,
): (rows: PolicyChanges["rows"], signal: AbortSignal) => Promise<void> {
  const { map, desired, clock, log } = options;
  const keyBytes = new Uint8Array(16);

  function identityIn(prefix: string): number | undefined {
    return map.get(ipcacheKeyFromText(prefix, keyBytes))?.identity;
  }

  function isThere({ prefix }: CidrRow): boolean {
    const owner = desired.get(prefix);
    return owner !== undefined && identityIn(prefix) === owner.identity;
  }

  function isGone({ prefix, identity }: CidrRow): boolean {
    return desired.get(prefix)?.identity !== identity && identityIn(prefix) !== identity;
  }

  return async ({ put, deleted }, signal) => {
    const untilMs = clock.monotonicMs() + WAIT_LIMIT_MS;
    for (;;) {
      const missing = put.filter((row) => !isThere(row));
      const left = deleted.filter((row) => !isGone(row));
      const [first] = [...missing, ...left];
      if (first === undefined) return;
      if (clock.monotonicMs() >= untilMs) {
        const counts = { missing: missing.length, left: left.length, prefix: first.prefix };
        log.warn("Prefixes of policies are not in the ipcache as they should be", counts);
        return;
      }
      await clock.sleep(LOOK_INTERVAL_MS, signal);
    }
  };
}

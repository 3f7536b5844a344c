// The datapath's map `flows` as resets read it: a socket's row, and whether rows may be missing.
import type { Flow, FlowKey } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { setImmediate } from "node:timers/promises";

export interface FlowRows {
  of(cookie: bigint): Flow | undefined;
  /** Whether rows may have yielded to others, so that a socket without one proves nothing. */
  mayHaveLost(): Promise<boolean>;
}

/**
 * The map lets rows go when its free ones are spent; each processor sets some hundred aside, so
 * that happens a little before it is full. Below this share nothing is lost.
 */
const FULL_ENOUGH = 0.75;
/** Rows read before others have their turn. */
const ROWS_A_TURN = 4_096;

export function flowRowsFromMap(
  map: Pick<BpfMap<FlowKey, Flow>, "get" | "entries" | "maxEntries">,
): FlowRows {
  return {
    of: (socketCookie) => map.get({ socketCookie }),
    async mayHaveLost() {
      const limit = map.maxEntries * FULL_ENOUGH;
      let rows = 0;
      for (const _ of map.entries()) {
        rows++;
        if (rows >= limit) return true;
        if (rows % ROWS_A_TURN === 0) await setImmediate();
      }
      return false;
    },
  };
}

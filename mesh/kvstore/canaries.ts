// The `synced` canaries (reference §1.8): written once a prefix's first full write is done, and
// again after an etcd or a lease was lost, always behind the keys that they vouch for.
import { runVouching, type VouchingOptions } from "./vouching.ts";

/**
 * Writes the canaries once `ready` (the source is synced and every row of it is applied).
 * Resolves when the signal aborts; the canaries stay.
 */
export function runCanaries(
  options: VouchingOptions & {
    readonly keys: readonly string[];
    readonly ready: () => boolean;
  },
  signal: AbortSignal,
): Promise<void> {
  return runVouching(options, signal);
}

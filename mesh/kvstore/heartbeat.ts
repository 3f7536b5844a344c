// The writer's heartbeat (reference §1.9): readers take it, by their own clocks, as the proof
// that this writer lives and that everything it exports is there.
import { HEARTBEAT_KEY } from "./keys.ts";
import { HEARTBEAT_INTERVAL_MS } from "./life-signs.ts";
import { runVouching, type VouchingOptions } from "./vouching.ts";

/** Writes the heartbeat at once and then every interval, leased. Resolves when the signal aborts. */
export function runHeartbeat(
  options: VouchingOptions & { readonly intervalMs?: number },
  signal: AbortSignal,
): Promise<void> {
  return runVouching(
    {
      ...options,
      keys: [HEARTBEAT_KEY],
      ready: () => true,
      intervalMs: options.intervalMs ?? HEARTBEAT_INTERVAL_MS,
    },
    signal,
  );
}

// Notices that somebody has removed or replaced the overlay device. Its programs, routes and index
// are gone with it, so the agent ends and is started again: a start puts all of it back.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";

export interface OverlayWatchOptions {
  readonly device: string;
  /** The device's index when the programs were attached to it. */
  readonly ifindex: number;
  /** Throws `not_found` for a device that is not there. */
  readonly interfaceIndex: (name: string) => number;
  readonly clock: Clock;
}

/** One system call a look; traffic between nodes stands still until it is noticed. */
const LOOK_INTERVAL_MS = 1_000;

/** Resolves when the signal aborts; rejects with `unavailable` when the device is not the same. */
export async function watchOverlay(
  options: OverlayWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const { device, ifindex, interfaceIndex, clock } = options;
  for (;;) {
    try {
      await clock.sleep(LOOK_INTERVAL_MS, signal);
    } catch (error) {
      if (isMeshError(error, "aborted")) return;
      throw error;
    }
    if (indexOf(device, interfaceIndex) === ifindex) continue;
    throw new MeshError(
      "unavailable",
      `Cannot go on: overlay device "${device}" was removed or replaced`,
      { hint: "start the agent again; it makes the device, its programs and routes anew" },
    );
  }
}

function indexOf(
  device: string,
  interfaceIndex: OverlayWatchOptions["interfaceIndex"],
): number | undefined {
  try {
    return interfaceIndex(device);
  } catch (error) {
    if (isMeshError(error, "not_found")) return undefined;
    throw error;
  }
}

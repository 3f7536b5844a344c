// Has connections forgotten that are over, now and then, so that the map holds those that matter
// when it becomes full. When one is over the kernel's program knows (bpf/lib/collect.h). Nothing
// depends on it: one that is over is not found, and a full map makes room by itself.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";

export interface CollectorOptions {
  /** Returns how many were forgotten. */
  readonly collect: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A full table takes some milliseconds, in which no packet waits. */
const INTERVAL_MS = 10_000;

/** Resolves when the signal aborts. */
export async function runCollector(options: CollectorOptions, signal: AbortSignal): Promise<void> {
  const { collect, clock, log } = options;
  while (!signal.aborted) {
    try {
      await clock.sleep(INTERVAL_MS, signal);
      collect();
    } catch (error) {
      if (!isMeshError(error, "aborted")) log.warn("Connections could not be collected", { error });
    }
  }
}

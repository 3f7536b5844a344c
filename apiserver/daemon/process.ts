// A process found by its pid and known by its command line, so that a pid that was given to
// somebody else is never signalled. Works for processes that are not our children.
import { readdir, readFile } from "node:fs/promises";
import type { Clock } from "../../mesh/core/clock.ts";

/** The command line of a live process; undefined for none and for one that has ended. */
export async function commandLine(pid: number): Promise<readonly string[] | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/cmdline`, "utf8");
    // A process that has ended but was not waited for has an empty one.
    return text === "" ? undefined : text.split("\0").slice(0, -1);
  } catch {
    return undefined; // No such process.
  }
}

/** The first process whose command line satisfies `matches`. */
export async function findProcess(
  matches: (line: readonly string[]) => boolean,
): Promise<number | undefined> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await commandLine(Number(name));
    if (line !== undefined && matches(line)) return Number(name);
  }
  return undefined;
}

export interface StopOptions {
  readonly isAlive: () => Promise<boolean>;
  readonly graceMs: number;
  readonly clock: Clock;
}

/** How often the end of a process is looked for. */
const LOOK_MS = 50;

/** Ends a process with SIGTERM, after the grace with SIGKILL; resolves when it is gone. */
export async function stopProcess(pid: number, options: StopOptions): Promise<void> {
  const { isAlive, graceMs, clock } = options;
  const never = new AbortController().signal;
  signalProcess(pid, "SIGTERM");
  const deadline = clock.monotonicMs() + graceMs;
  while (await isAlive()) {
    if (clock.monotonicMs() > deadline) signalProcess(pid, "SIGKILL");
    await clock.sleep(LOOK_MS, never);
  }
}

/** Nothing happens if it is gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone in between: that is what was wanted.
  }
}

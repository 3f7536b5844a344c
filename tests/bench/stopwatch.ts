// Child processes that note when things arrive, and the parent's side of talking with them. Times
// are CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share.
import { fork } from "node:child_process";
import { once } from "node:events";

/** Number of a change → when it arrived. */
export type Arrivals = Map<number, bigint>;

type Answer = readonly (readonly [number: number, ns: string])[];

/** In the child: answers with what has arrived so far, and ends when the parent lets go. */
export async function serveParent(arrivals: Arrivals): Promise<void> {
  // A terminal's interrupt reaches the whole group; the parent lets go in order.
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => {});
  process.on("message", () => {
    const answer: Answer = [...arrivals].map(([number, ns]) => [number, String(ns)]);
    process.send?.(answer);
  });
  process.send?.([] satisfies Answer);
  if (process.connected) await once(process, "disconnect");
}

export interface Stopwatch {
  arrivals(): Promise<Arrivals>;
  stop(): Promise<void>;
}

/** Longer than any of the children needs to clean up. */
const STOP_LIMIT_MS = 20_000;

/** Resolves when the child is ready to be told of things. */
export async function startStopwatch(file: string, args: readonly string[]): Promise<Stopwatch> {
  const child = fork(new URL(file, import.meta.url), args, { serialization: "json" });
  // Not "close": it does not come when the parent lets go of the channel first.
  const ended = once(child, "exit");
  const message = async (): Promise<Arrivals> => {
    const [answer] = (await Promise.race([
      once(child, "message"),
      ended.then(() => Promise.reject(new Error(`Cannot go on: ${file} has ended`))),
    ])) as [Answer];
    return new Map(answer.map(([number, ns]) => [number, BigInt(ns)]));
  };
  await message();
  return {
    arrivals() {
      child.send("report");
      return message();
    },
    async stop() {
      if (child.connected) child.disconnect();
      const kill = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await ended;
      clearTimeout(kill);
    },
  };
}

// Steady requests from inside a pod of the lab: starts workload/client.ts there, collects what it
// records, and stops it so that every request it has begun is accounted for.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { withTimeout } from "../../mesh/core/clock.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { nodeArgv } from "./daemons.ts";
import type { LabPlace } from "./enter.ts";
import { enteringArgv } from "./processes.ts";
import { parseRequestLine, type RequestRecord } from "./requests.ts";

const CLIENT = fileURLToPath(new URL("workload/client.ts", import.meta.url));
const POLL_MS = 10;
/** A request takes at most its own limit; what is behind it is a stuck process. */
const STOP_LIMIT_MS = 15_000;

export interface SteadyClientOptions {
  readonly place: LabPlace;
  /** "tcp:ADDRESS:PORT" or "udp:[ADDRESS]:PORT"; asked in turn. */
  readonly targets: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** One TCP connection for all requests to a target, in place of one a request. */
  readonly keep?: boolean;
  readonly clock: Clock;
}

export interface SteadyClient {
  /** In the order in which they ended; grows. */
  readonly records: readonly RequestRecord[];
  /** Resolves as soon as the condition holds for what is recorded; `what` is for the error. */
  waitUntil(
    condition: (records: readonly RequestRecord[]) => boolean,
    options: { limitMs: number; what: string; signal: AbortSignal },
  ): Promise<void>;
  /** Begins no new request, waits for those under way, and returns all records. */
  stop(): Promise<readonly RequestRecord[]>;
}

export function startSteadyClient(options: SteadyClientOptions): SteadyClient {
  const { place, targets, clock } = options;
  const argv = nodeArgv(CLIENT, [
    ...targets.flatMap((target) => ["--target", target]),
    `--interval-ms=${options.intervalMs}`,
    `--timeout-ms=${options.timeoutMs}`,
    ...(options.keep === true ? ["--keep"] : []),
  ]);
  const [program, ...args] = enteringArgv({ ...place, argv });
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const records: RequestRecord[] = [];
  const state: { ended: boolean; failure: Error | undefined } = {
    ended: false,
    failure: undefined,
  };
  createInterface({ input: child.stdout }).on("line", (line) => {
    try {
      records.push(parseRequestLine(line));
    } catch (error) {
      state.failure ??= error as Error;
    }
  });
  child.once("error", (error) => (state.failure ??= error));
  child.once("close", () => (state.ended = true));

  return {
    records,
    async waitUntil(condition, { limitMs, what, signal }) {
      await withTimeout(
        async (inner) => {
          while (!condition(records)) {
            if (state.failure !== undefined) throw state.failure;
            if (state.ended) throw new MeshError("unavailable", `${what}: the client has ended`);
            await clock.sleep(POLL_MS, inner);
          }
        },
        { ms: limitMs, what, clock, signal },
      );
    },
    async stop() {
      child.kill("SIGTERM");
      const never = new AbortController().signal;
      await withTimeout(
        async (inner) => {
          while (!state.ended) await clock.sleep(POLL_MS, inner);
        },
        { ms: STOP_LIMIT_MS, what: "Cannot stop the lab's client", clock, signal: never },
      );
      if (state.failure !== undefined) throw state.failure;
      return records;
    },
  };
}

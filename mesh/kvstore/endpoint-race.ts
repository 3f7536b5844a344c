// Which of several endpoints answers: a plain TCP connection to all of them at once, and the first
// that stands wins. Under Kubernetes an etcd may be at any node of its cluster, and the nodes where
// it is not may refuse, or be dead and say nothing at all. Sends no byte.
import { connect } from "node:net";
import { throwIfAborted, withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, messageFromError, MeshError } from "../core/errors.ts";

/** Resolves once `host` (`name:port`) takes a connection; closes it. Rejects when it does not. */
export type Dial = (host: string, signal: AbortSignal) => Promise<void>;

export interface RaceOptions {
  /** Hosts that took connections and failed then, the longest ago first: tried after the others. */
  readonly failed: readonly string[];
  readonly dial: Dial;
  readonly clock: Clock;
}

/** A first packet that was lost is sent again after a second; twice around the world fits too. */
export const RACE_LIMIT_MS = 3_000;
/** What a host that has not failed is ahead of one that has: a round trip around the world. */
export const HEAD_START_MS = 250;

/** Throws `unavailable` when none takes a connection in time. */
export async function firstToAnswer(
  hosts: readonly string[],
  options: RaceOptions,
  signal: AbortSignal,
): Promise<string> {
  const { clock } = options;
  const late = options.failed.filter((host) => hosts.includes(host));
  const fresh = hosts.filter((host) => !late.includes(host));
  const groups = [fresh, ...late.map((host) => [host])].filter((group) => group.length > 0);
  const over = new AbortController();
  try {
    return await withTimeout(
      (inner) => race(groups, { ...options, signal: AbortSignal.any([inner, over.signal]) }),
      { ms: RACE_LIMIT_MS, what: "Cannot find an etcd that answers", clock, signal },
    );
  } catch (error) {
    throwIfAborted(signal);
    const [refusal] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
    const reason = refusal === undefined ? "no answer in time" : messageFromError(refusal);
    throw new MeshError(
      "unavailable",
      `Cannot connect to etcd: none of ${hosts.length} endpoints answers; ${hosts[0]}: ${reason}`,
      { cause: error },
    );
  } finally {
    over.abort("the race is over"); // Ends the connections of the others.
  }
}

/** Rejects with an AggregateError when all have refused, and only then. */
async function race(
  groups: readonly (readonly string[])[],
  { dial, clock, signal }: RaceOptions & { readonly signal: AbortSignal },
): Promise<string> {
  const started: Promise<string>[] = [];
  for (const group of groups.slice(0, -1)) {
    started.push(...group.map((host) => dial(host, signal).then(() => host)));
    const first = await answerWithin(started, { clock, signal });
    if (first !== undefined) return first;
    throwIfAborted(signal);
  }
  const last = groups.at(-1) ?? [];
  return Promise.any([...started, ...last.map((host) => dial(host, signal).then(() => host))]);
}

/** The first to answer; undefined when all have refused or the head start is over. */
async function answerWithin(
  started: readonly Promise<string>[],
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<string | undefined> {
  try {
    return await withTimeout(() => Promise.any(started), {
      ms: HEAD_START_MS,
      what: "Cannot connect",
      clock,
      signal,
    });
  } catch (error) {
    if (isMeshError(error, "deadline_exceeded") || error instanceof AggregateError)
      return undefined;
    throw error;
  }
}

export const dialTcp: Dial = (host, signal) =>
  new Promise((resolve, reject) => {
    // The scheme only says which port is meant by none: gRPC's, as the connection afterwards does.
    const { hostname, port } = new URL(`https://${host}`);
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 443) });
    const onAbort = (): void => void socket.destroy(new Error("nobody waits for it"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("close", () => signal.removeEventListener("abort", onAbort));
    socket.once("error", reject);
    socket.once("connect", () => {
      resolve();
      socket.destroy();
    });
  });

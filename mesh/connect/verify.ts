// Waiting until clusters really read each other: both apiservers say "ready" and "synced" about
// their peers. Polls a level; knows nothing about how the connection was made.
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { PeerStatus, PeerStatusReader } from "./cluster-facts.ts";

/** One direction that must come to work. */
export interface Expectation {
  readonly reader: string;
  readonly peer: string;
  readonly status: PeerStatusReader;
}

/**
 * A first sync of 100,000 endpoints takes seconds; who is not in sync after a minute is blocked by
 * something that waiting does not cure.
 */
export const VERIFY_LIMIT_MS = 60_000;
/** Often enough that a person sees it move, rare enough to cost nothing. */
const POLL_INTERVAL_MS = 250;

/** Throws `deadline_exceeded` with the state of every direction that does not work. */
export async function verifyConnected(
  expectations: readonly Expectation[],
  options: {
    clock: Clock;
    /** Told the lines that have changed. */
    onProgress: (lines: readonly string[]) => void;
    signal: AbortSignal;
    limitMs?: number;
  },
): Promise<void> {
  const { clock, signal } = options;
  const limitMs = options.limitMs ?? VERIFY_LIMIT_MS;
  const deadlineMs = clock.monotonicMs() + limitMs;
  let shown: readonly string[] = [];
  for (;;) {
    const states = await Promise.all(expectations.map((item) => readDirection(item, signal)));
    const lines = states.map(({ line }) => line);
    const changed = lines.filter((line, index) => line !== shown[index]);
    if (changed.length > 0) options.onProgress(changed);
    shown = lines;
    if (states.every(({ works }) => works)) return;
    if (clock.monotonicMs() >= deadlineMs) {
      const missing = states.filter(({ works }) => !works).map(({ line }) => line);
      throw new MeshError(
        "deadline_exceeded",
        `Cannot verify the connection: not in sync after ${limitMs / 1000} s: ${missing.join("; ")}`,
        { hint: "`mesh status --context all` shows what each apiserver says" },
      );
    }
    await clock.sleep(POLL_INTERVAL_MS, signal);
  }
}

interface DirectionState {
  readonly works: boolean;
  readonly line: string;
}

async function readDirection(item: Expectation, signal: AbortSignal): Promise<DirectionState> {
  const name = `${item.reader} reads ${item.peer}`;
  let peers: readonly PeerStatus[];
  try {
    peers = await item.status.readPeers(signal);
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return { works: false, line: `${name}: ${reason}` };
  }
  const peer = peers.find((candidate) => candidate.name === item.peer);
  if (peer === undefined) return { works: false, line: `${name}: not noticed yet` };
  const reason = peer.reason === "" ? "" : ` (${peer.reason})`;
  const works = peer.state === "ready" && peer.synced;
  return { works, line: `${name}: ${works ? "in sync" : `${peer.state}${reason}`}` };
}

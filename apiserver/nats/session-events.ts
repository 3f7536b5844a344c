// Events about the sessions with peers: told when one that was there is lost, and when it is back.
// Losing a session moves no traffic; what is known of the peer stays as it is.
import type { Clock } from "../../mesh/core/clock.ts";
import type { EventSink } from "../../mesh/operations/event.ts";
import type { PeerStatus } from "../mirror/peer-status.ts";

type Told = Parameters<EventSink["emit"]>[0];

const LOOK_MS = 1_000;

/** Which events the states of peers are; `known` is brought up to date. Pure but for that. */
export function sessionEvents(
  known: Map<string, PeerStatus["state"]>,
  peers: readonly Pick<PeerStatus, "name" | "state" | "reason" | "heartbeatAgeSeconds">[],
): Told[] {
  const events = peers.flatMap((peer): Told[] => {
    const before = known.get(peer.name);
    const wasThere = before === "ready";
    const isThere = peer.state === "ready";
    // A peer that has never been there is connected for the first time, which is an event too.
    if (wasThere === isThere || (before === undefined && !isThere)) return [];
    const seconds = Math.round(peer.heartbeatAgeSeconds);
    return [
      {
        kind: "session",
        severity: isThere ? "info" : "warning",
        subject: peer.name,
        from: before ?? "connecting",
        to: peer.state,
        text: isThere
          ? `The state of cluster "${peer.name}" is read`
          : `The state of cluster "${peer.name}" cannot be read; what is known of it stays in force`,
        evidence: {
          ...(peer.reason === "" ? {} : { reason: peer.reason.slice(0, 500) }),
          ...(seconds < 0 ? {} : { lastHeartbeatSecondsAgo: seconds }),
        },
      },
    ];
  });
  for (const name of known.keys()) {
    if (!peers.some((peer) => peer.name === name)) known.delete(name);
  }
  for (const { name, state } of peers) {
    // Between the two it is neither: a session that begins is not a change before it has begun.
    if (state === "ready" || known.get(name) === "ready" || !known.has(name))
      known.set(name, state);
  }
  return events;
}

/** Tells about every change until the signal aborts. */
export async function runSessionEvents(
  options: {
    readonly peers: () => readonly PeerStatus[];
    readonly events: EventSink;
    readonly clock: Clock;
  },
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, PeerStatus["state"]>();
  while (!signal.aborted) {
    for (const event of sessionEvents(known, options.peers())) options.events.emit(event);
    await options.clock.sleep(LOOK_MS, signal).catch(() => {}); // Aborted: the loop ends.
  }
}

import { describe, expect, test } from "@jest/globals";
import { sessionEvents } from "../../../../apiserver/nats/session-events.ts";
import type { PeerStatus } from "../../../../apiserver/mirror/peer-status.ts";

describe("sessionEvents()", () => {
  const known = new Map<string, PeerStatus["state"]>();
  const look = (...states: PeerStatus["state"][]): string[] =>
    sessionEvents(
      known,
      states.map((state) => ({ name: "west", state, reason: "", heartbeatAgeSeconds: 3 })),
    ).map(({ severity, from, to }) => `${severity} ${from} ${to}`);

  test("tells what begins, what is lost and what is back, each once", () => {
    expect(look("connecting")).toEqual([]);
    expect(look("syncing")).toEqual([]);
    expect(look("ready")).toEqual(["info connecting ready"]);
    expect(look("ready")).toEqual([]);
    expect(look("stale")).toEqual(["warning ready stale"]);
    expect(look("connecting")).toEqual([]);
    expect(look("ready")).toEqual(["info stale ready"]);
    expect(look()).toEqual([]);
    expect(look("connecting")).toEqual([]);
  });
});

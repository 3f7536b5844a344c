import { describe, expect, test } from "@jest/globals";
import { statusFromPeer, type PeerParts } from "../../../../apiserver/mirror/peer-status.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import type { SessionState, SessionStatus } from "../../../../mesh/kvstore/session.ts";

const ENTRY = { name: "west", file: undefined, problem: "", fingerprint: "" };

function session(state: SessionState): SessionStatus {
  return {
    cluster: "west",
    state,
    config: undefined,
    lastHeartbeatMs: 1_000,
    reconnections: 3,
    rejected: new Map([["state/ip/", { count: 2, latest: ["bad"] }]]),
    records: new Map(),
  };
}

const WRITTEN = { desired: 4, applied: 4, failed: new Map<string, Error>(), synced: true };

const KIND: PeerParts["kinds"][number] = {
  kind: "ip",
  prefix: "state/ip/",
  read: true,
  mirror: { records: 5, mirrored: 4, claimsRefused: 1, latestRefusals: ["theft"] },
  writer: WRITTEN,
};

const PARTS: PeerParts = {
  entry: ENTRY,
  session: session({ kind: "ready" }),
  identity: { name: "west", id: 2, maxConnectedClusters: 255 },
  problem: undefined,
  version: "0.1.0",
  leafEndpoints: [],
  nowMs: 3_500,
  kinds: [KIND],
};

describe("statusFromPeer()", () => {
  test("puts session, mirror and writer together", () => {
    expect(statusFromPeer(PARTS)).toMatchObject({
      name: "west",
      id: 2,
      state: "ready",
      synced: true,
      heartbeatAgeSeconds: 2.5,
      reconnections: 3,
      kinds: [
        {
          kind: "ip",
          records: 5,
          mirrored: 4,
          rejected: 2,
          rejectedLatest: ["bad"],
          claimsRefused: 1,
          claimsRefusedLatest: ["theft"],
          synced: true,
        },
      ],
    });
  });

  const states: [string, Partial<PeerParts>, string, string][] = [
    ["no session yet", { session: undefined }, "connecting", ""],
    [
      "a session that connects",
      { session: session({ kind: "connecting", attempt: 2, lastError: new Error("refused") }) },
      "connecting",
      "refused",
    ],
    [
      "a session that syncs",
      { session: session({ kind: "syncing", waitingFor: "a canary" }) },
      "syncing",
      "waits for a canary",
    ],
    [
      "a silent writer",
      { session: session({ kind: "stale", reason: "no heartbeat" }) },
      "stale",
      "no heartbeat",
    ],
    [
      "an etcd that cannot be reached",
      { problem: new MeshError("unavailable", "Cannot reach it") },
      "connecting",
      "Cannot reach it",
    ],
    [
      "a peer that must not be mirrored",
      { problem: new MeshError("conflict", "its id is taken") },
      "refused",
      "its id is taken",
    ],
    [
      "a broken new peer file beside a connection that goes on",
      { entry: { ...ENTRY, problem: "broken" } },
      "ready",
      "broken",
    ],
  ];
  for (const [what, parts, state, reason] of states) {
    test(`tells ${state} for ${what}`, () => {
      expect(statusFromPeer({ ...PARTS, ...parts })).toMatchObject({ state, reason });
    });
  }

  test("is not synced while one kind is not read or not written", () => {
    const unwritten = { ...KIND, writer: { ...WRITTEN, synced: false } };
    expect(statusFromPeer({ ...PARTS, kinds: [KIND, { ...KIND, read: false }] }).synced).toBe(
      false,
    );
    expect(statusFromPeer({ ...PARTS, kinds: [KIND, unwritten] }).synced).toBe(false);
    const optional = { ...unwritten, optional: true };
    expect(statusFromPeer({ ...PARTS, kinds: [KIND, optional] }).synced).toBe(true);
  });

  test("has no heartbeat age before the first", () => {
    expect(statusFromPeer({ ...PARTS, session: undefined }).heartbeatAgeSeconds).toBe(-1);
  });
});

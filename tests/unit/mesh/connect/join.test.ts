import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../../../mesh/core/clock.ts";
import type { ClusterFacts } from "../../../../mesh/connect/cluster-facts.ts";
import { createInviteSecret, type InviteToken } from "../../../../mesh/connect/invite-token.ts";
import { joinCluster } from "../../../../mesh/connect/join.ts";
import { createTestCluster, readTree, type TestCluster } from "../../../fakes/cluster.ts";
import { createFactsMaker, FACTS_NOW_MS, type FactsMaker } from "../../../fakes/cluster-facts.ts";

// What needs a network is tested in tests/integration/join.test.ts; here is what is refused
// before anybody is asked.
const clock = { ...systemClock, nowMs: () => FACTS_NOW_MS };
let east: TestCluster;
let maker: FactsMaker;

beforeAll(async () => {
  east = await createTestCluster({ name: "east", id: 1 });
  maker = await createFactsMaker("east", 1);
}, 60_000);

afterAll(() => east.close());

function token(changes: Partial<InviteToken> = {}): InviteToken {
  return {
    cluster: { name: "west", id: 2, maxConnectedClusters: 255 },
    joinEndpoints: ["127.0.0.1:1"],
    caFingerprint: "00",
    inviteId: "0011223344556677",
    secret: createInviteSecret(),
    expiresAtMs: FACTS_NOW_MS + 60_000,
    ...changes,
  };
}

function join(invited: InviteToken, facts: ClusterFacts = maker.make()) {
  return joinCluster(invited, {
    access: { ...east.access, readFacts: () => Promise.resolve(facts) },
    clock,
    onProgress: () => {},
    signal: new AbortController().signal,
  });
}

describe("joinCluster() asks nobody and writes nothing", () => {
  const cluster = { name: "east", id: 9, maxConnectedClusters: 255 } as const;
  const cases: readonly [string, () => Promise<unknown>, RegExp][] = [
    [
      "with an expired token",
      () => join(token({ expiresAtMs: FACTS_NOW_MS })),
      /it expired at 2026-01-01T00:00:00Z; it is now 2026-01-01T00:00:00Z/,
    ],
    [
      "with its own token",
      () => join(token({ cluster, caFingerprint: maker.authority.certificate.fingerprint })),
      /it is an invitation of "east" itself/,
    ],
    [
      "with a token of a cluster of its name",
      () => join(token({ cluster })),
      /the inviting cluster is called "east", as this one is/,
    ],
    [
      "when its own apiserver is dead",
      () => join(token(), maker.make({ apiserverProblem: "no answer" })),
      /The apiserver of cluster "east" does not answer/,
    ],
    ["when nobody answers", () => join(token()), /Cannot reach "127.0.0.1:1"/],
  ];
  for (const [name, attempt, message] of cases) {
    test(name, async () => {
      const before = await readTree(east.directory);
      await expect(attempt()).rejects.toThrow(message);
      expect(await readTree(east.directory)).toEqual(before);
    });
  }
});

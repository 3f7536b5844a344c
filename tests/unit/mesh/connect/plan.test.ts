import { beforeAll, describe, expect, test } from "@jest/globals";
import type { ClusterFacts, InstalledPeer } from "../../../../mesh/connect/cluster-facts.ts";
import { describeStep, planConnect, planDirection } from "../../../../mesh/connect/plan.ts";
import { issueRemote, LEAF_LIFETIME_MS } from "../../../../pki/issue.ts";
import { generatePrivateKey } from "../../../../pki/private-key.ts";
import { createSigningRequest } from "../../../../pki/signing-request.ts";
import { createFactsMaker, FACTS_NOW_MS, type FactsMaker } from "../../../fakes/cluster-facts.ts";

let east: FactsMaker;
let west: FactsMaker;
/** West as east has installed it, in good order. */
let installed: InstalledPeer;

beforeAll(async () => {
  [east, west] = await Promise.all([createFactsMaker("east", 1), createFactsMaker("west", 2)]);
  const request = createSigningRequest("east", await generatePrivateKey(2048));
  const { profile, bundle } = west.make();
  installed = {
    name: "west",
    id: 2,
    endpoints: profile.etcdEndpoints,
    bundle,
    client: issueRemote(west.authority, { reader: "east", request, nowMs: FACTS_NOW_MS }),
    problem: undefined,
  };
});

describe("planConnect()", () => {
  test("admits all readers before the first is told to come", () => {
    expect(planConnect([east.make(), west.make()], FACTS_NOW_MS)).toEqual([
      { kind: "admit-reader", at: "west", reader: "east" },
      { kind: "admit-reader", at: "east", reader: "west" },
      { kind: "install-peer", at: "east", peer: "west", reason: "not connected yet" },
      { kind: "install-peer", at: "west", peer: "east", reason: "not connected yet" },
    ]);
  });

  test("describes every step in a sentence", () => {
    expect(planConnect([east.make(), west.make()], FACTS_NOW_MS).map(describeStep)).toEqual([
      'west: let "east" read its exported state',
      'east: let "west" read its exported state',
      'east: mirror "west" with a new client certificate signed by "west" (not connected yet)',
      'west: mirror "east" with a new client certificate signed by "east" (not connected yet)',
    ]);
  });
});

describe("planDirection()", () => {
  const plan = (peer: InstalledPeer, changes: Partial<ClusterFacts> = {}, nowMs = FACTS_NOW_MS) =>
    planDirection({
      reader: east.make({ peers: [peer] }),
      peer: west.make({ readers: ["east"], ...changes }),
      nowMs,
    });

  test("is empty when all is as it should be", () => {
    expect(plan(installed)).toEqual([]);
  });

  test("admits a reader that was forgotten", () => {
    expect(plan(installed, { readers: [] })).toEqual([
      { kind: "admit-reader", at: "west", reader: "east" },
    ]);
  });

  const cases: readonly [string, () => Partial<InstalledPeer>, RegExp][] = [
    ["files in trouble", () => ({ problem: "broken" }), /^broken$/],
    ["no bundle", () => ({ bundle: undefined }), /trust bundle is missing/],
    ["no certificate", () => ({ client: undefined }), /client certificate is missing/],
    ["old endpoints", () => ({ endpoints: ["https://old:1"] }), /endpoints changed/],
    ["an old bundle", () => ({ bundle: east.make().bundle }), /trust bundle changed/],
    [
      "a certificate of somebody else",
      () => ({ client: west.authority.certificate }),
      /it is a certificate authority itself/,
    ],
  ];
  for (const [name, changes, reason] of cases) {
    test(`installs anew with ${name}`, () => {
      const steps = plan({ ...installed, ...changes() });
      expect(steps).toMatchObject([{ kind: "install-peer", at: "east", peer: "west" }]);
      expect(steps[0]?.kind === "install-peer" && steps[0].reason).toMatch(reason);
    });
  }

  test("renews a certificate before it expires, and replaces an expired one", () => {
    const soon = plan(installed, {}, FACTS_NOW_MS + LEAF_LIFETIME_MS * 0.7);
    expect(soon).toMatchObject([{ reason: expect.stringContaining("expires on 2028-12-31") }]);
    const late = plan(installed, {}, FACTS_NOW_MS + LEAF_LIFETIME_MS + 1000);
    expect(late).toMatchObject([{ reason: expect.stringContaining("it expired on 2028-12-31") }]);
  });
});

import { beforeAll, describe, expect, test } from "@jest/globals";
import type { FactsMessage } from "../../../../mesh/api/join-messages.ts";
import { factsFromMessage, messageFromFacts } from "../../../../mesh/connect/facts-message.ts";
import { createFactsMaker, FACTS_NOW_MS, type FactsMaker } from "../../../fakes/cluster-facts.ts";

const options = { context: "the peer", nowMs: FACTS_NOW_MS };
let east: FactsMaker;
let message: FactsMessage;

beforeAll(async () => {
  east = await createFactsMaker("east", 1);
  message = messageFromFacts(east.make(), FACTS_NOW_MS + 7_000);
});

describe("factsFromMessage()", () => {
  test("reads what messageFromFacts() wrote, with the difference of the clocks", () => {
    const facts = factsFromMessage(message, options);
    const { profile, prefixes, version } = east.make();
    expect(facts).toMatchObject({ context: "the peer", profile, prefixes, version });
    expect(facts.bundle.authorities[0]?.fingerprint).toBe(east.authority.certificate.fingerprint);
    expect(facts.endpoints).toMatchObject([{ answer: { clockOffsetMs: 7_000 } }]);
  });

  const refused: readonly [string, () => Partial<FactsMessage>, RegExp][] = [
    ["a bad name", () => ({ name: "East" }), /as cluster name/],
    ["a bad id", () => ({ id: 256 }), /as cluster id/],
    ["a bad width", () => ({ maxConnectedClusters: 300 }), /as maxConnectedClusters/],
    ["no endpoint", () => ({ etcdEndpoints: [] }), /Cannot use "etcdEndpoints" of "the peer"/],
    [
      "an endpoint without TLS",
      () => ({ etcdEndpoints: ["http://10.0.0.1:2379"] }),
      /want a list of "https/,
    ],
    ["no bundle", () => ({ caBundle: "" }), /of the peer: it holds no certificate/],
    [
      "a prefix that is none",
      () => ({ prefixes: [{ prefix: "10.0.0.1/8", cluster: "east", node: "n" }] }),
      /Cannot parse prefix/,
    ],
    [
      "too many prefixes",
      () => ({
        prefixes: Array.from({ length: 40_001 }, () => ({ prefix: "", cluster: "", node: "" })),
      }),
      /it names 40001 pod prefixes, the limit is 40000/,
    ],
    [
      "an endless node name",
      () => ({ prefixes: [{ prefix: "10.0.0.0/8", cluster: "east", node: "n".repeat(300) }] }),
      /a node's name is too long/,
    ],
    ["an odd version", () => ({ version: "<script>" }), /its version is no version/],
  ];
  for (const [name, changes, reason] of refused) {
    test(`refuses ${name}`, () => {
      expect(() => factsFromMessage({ ...message, ...changes() }, options)).toThrow(reason);
    });
  }
});

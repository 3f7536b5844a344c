import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../../mesh/core/cluster.ts";
import {
  encodeIdentity,
  identityName,
  parseIdentity,
} from "../../../../../mesh/kvstore/records/identity.ts";
import { clusterIdentity, damaged, identity } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const EAST: ClusterIdentity = { name: "east", id: 1, maxConnectedClusters: 255 };
const LABELS =
  "k8s:app=cart;k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop;" +
  "k8s:io.cilium.k8s.policy.cluster=east;k8s:io.cilium.k8s.policy.serviceaccount=cart;" +
  "k8s:io.kubernetes.pod.namespace=shop;";
const OWN = "k8s:io.cilium.k8s.policy.cluster=east;";

const parse = (name: string, text: string): unknown => parseIdentity(name, Buffer.from(text), EAST);

describe("parseIdentity()", () => {
  test("reads labels as a Cilium cluster writes them, and encodeIdentity() writes the same bytes", () => {
    const value = parseIdentity("70001", Buffer.from(LABELS), EAST);
    expect(value).toEqual({ number: 70_001, labels: LABELS.slice(0, -1).split(";") });
    expect(encodeIdentity(value.labels).toString()).toBe(LABELS);
  });

  test("sorts what stands in another order", () => {
    expect(parse("70001", `k8s:z=1;${OWN}k8s:a=1;`)).toMatchObject({
      labels: ["k8s:a=1", OWN.slice(0, -1), "k8s:z=1"],
    });
  });

  test("reads empty values, and values with an equals sign", () => {
    expect(parse("70001", `any:a==;${OWN}k8s:z=;`)).toMatchObject({
      labels: ["any:a==", OWN.slice(0, -1), "k8s:z="],
    });
  });

  for (const name of ["65535", "131072", "0", "2", "070001", "70001 ", "7e4", "-70001", "", "x"]) {
    test(`refuses the number ${JSON.stringify(name)}`, () => {
      expect(() => parse(name, LABELS)).toThrow(/want a number from 65536 to 131071 \(cluster 1\)/);
    });
  }

  for (const [what, text, reason] of [
    ["nothing", "", /the labels are ""/],
    ["labels without an end", LABELS.slice(0, -1), /want labels of the form "source:key=value;"/],
    ["an empty label", `${OWN};`, /a label is ""/],
    ["a label without a value", `${OWN}k8s:a;`, /a label is "k8s:a"/],
    ["a label without a source", `${OWN}a=b;`, /a label is "a=b"/],
    ["a label that draws on the screen", `${OWN}k8s:a=\u001b[2J;`, /a label is "k8s:a=\\u001b/],
    ["a key twice", `${OWN}k8s:a=1;any:a=2;`, /the label key "a" stands there twice/],
    ["a very long label", `${OWN}k8s:a=${"x".repeat(600)};`, /a label is "k8s:a=xxx/],
    ["JSON", '{"a":1}', /the labels are/],
    ["no cluster", "k8s:app=cart;", /label "k8s:io.cilium.k8s.policy.cluster=east" is missing/],
    [
      "another cluster",
      "k8s:io.cilium.k8s.policy.cluster=west;",
      /label "k8s:io.cilium.k8s.policy.cluster=east" is missing/,
    ],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => parse("70001", text)).toThrow(reason);
    });
  }

  test("refuses more than 1,024 labels, and bytes that are no text", () => {
    const many = Array.from({ length: 1_024 }, (_, i) => `k8s:a${i}=;`).join("");
    expect(() => parse("70001", OWN + many)).toThrow(/more than 1024 labels/);
    expect(() => parseIdentity("70001", Buffer.from([0xff, 0x3b]), EAST)).toThrow(/UTF-8/);
  });

  test("reads back what encodeIdentity() writes", () => {
    const cases = clusterIdentity.chain((cluster) =>
      identity(cluster).map((value) => ({ cluster, value })),
    );
    fc.assert(
      fc.property(cases, ({ cluster, value }) => {
        const bytes = encodeIdentity(value.labels);
        expect(parseIdentity(identityName(value), bytes, cluster)).toEqual(value);
      }),
    );
  });

  test("accepts only its own range and cluster, whatever bytes it is given", () => {
    const cases = identity(EAST).chain((value) =>
      fc.record({
        name: fc.oneof(fc.constant(identityName(value)), fc.nat().map(String), fc.string()),
        bytes: damaged(fc.constant(encodeIdentity(value.labels))),
      }),
    );
    fc.assert(
      fc.property(cases, ({ name, bytes }) => {
        const parsed = parsedOrRefused(() => parseIdentity(name, bytes, EAST));
        if (parsed === undefined) return;
        expect(parsed.number >> 16).toBe(1);
        expect(parsed.labels).toContain(OWN.slice(0, -1));
        expect(parseIdentity(name, encodeIdentity(parsed.labels), EAST)).toEqual(parsed);
      }),
      { numRuns: 1_000 },
    );
  });
});

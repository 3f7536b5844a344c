import { expect, test } from "@jest/globals";
import { createPodPrefixes } from "../../../../agent/desired/pod-prefixes.ts";

const one = { prefix: "10.2.1.0/24", tunnelEndpoint: "192.0.2.2", clusterId: 2 };
const two = { prefix: "fd00:10:2:1::/64", tunnelEndpoint: "192.0.2.2", clusterId: 2 };

test("finds the node whose pods a prefix is about", () => {
  const prefixes = createPodPrefixes();
  expect(prefixes.set("west/n1", [one, two])).toBe(true);
  expect(prefixes.coverOf("10.2.1.5/32")).toEqual(one);
  expect(prefixes.coverOf("10.2.1.0/24")).toEqual(one);
  expect(prefixes.coverOf("fd00:10:2:1::5/128")).toEqual(two);
  expect(prefixes.coverOf("10.2.0.0/16")).toBeUndefined();
  expect(prefixes.coverOf("198.51.100.0/24")).toBeUndefined();
});

test("says whether anything has changed", () => {
  const prefixes = createPodPrefixes();
  prefixes.set("west/n1", [one]);
  expect(prefixes.set("west/n1", [{ ...one }])).toBe(false);
  expect(prefixes.set("west/n1", [{ ...one, tunnelEndpoint: "192.0.2.9" }])).toBe(true);
  expect(prefixes.coverOf("10.2.1.5/32")?.tunnelEndpoint).toBe("192.0.2.9");
  expect(prefixes.set("west/n1", [])).toBe(true);
  expect(prefixes.set("west/n1", [])).toBe(false);
  expect(prefixes.coverOf("10.2.1.5/32")).toBeUndefined();
});

test("forgets a cluster's nodes with it", () => {
  const prefixes = createPodPrefixes();
  prefixes.set("west/n1", [one]);
  prefixes.set("westend/n1", [two]);
  expect(prefixes.forget("west/")).toBe(true);
  expect(prefixes.forget("west/")).toBe(false);
  expect(prefixes.coverOf("10.2.1.5/32")).toBeUndefined();
  expect(prefixes.coverOf("fd00:10:2:1::5/128")).toEqual(two);
});

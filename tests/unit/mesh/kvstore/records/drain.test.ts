import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  drainIsInForce,
  drainName,
  encodeDrain,
  parseDrain,
  parseOwnDrain,
  sameDrain,
  type DrainRecord,
} from "../../../../../mesh/kvstore/records/drain.ts";
import { damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const DRAIN: DrainRecord = {
  id: "cluster-1",
  cluster: "west",
  clusterId: 2,
  percent: 25,
  services: ["shop/cart"],
  expiresAtMs: 5_000,
  graceSeconds: 30,
  reason: "new kernel",
  createdAtMs: 1_000,
};
const WEST = { name: "west", id: 2, maxConnectedClusters: 255 } as const;
const encoded = (change: object): Buffer =>
  Buffer.from(JSON.stringify({ ...DRAIN, ...change }, undefined));

describe("parseDrain()", () => {
  test("reads what was written, and takes what is left out for nothing", () => {
    expect(parseDrain("cluster-1", encodeDrain(DRAIN))).toEqual(DRAIN);
    const least = Buffer.from('{"id":"a","cluster":"west","percent":100}');
    expect(parseDrain("a", least)).toEqual({
      id: "a",
      cluster: "west",
      clusterId: undefined,
      percent: 100,
      services: [],
      expiresAtMs: 0,
      graceSeconds: 0,
      reason: "",
      createdAtMs: 0,
    });
    expect(drainName(DRAIN)).toBe("cluster-1");
  });

  const refused: [string, object, string][] = [
    ["another id than its key", { id: "cluster-2" }, '"id" is "cluster-2"'],
    ["no share", { percent: 0 }, '"percent" is 0'],
    ["more than all", { percent: 101 }, '"percent" is 101'],
    ["part of a percent", { percent: 2.5 }, '"percent" is 2.5'],
    ["a name that no cluster has", { cluster: "We/st" }, "We/st"],
    ["a service without a namespace", { services: ["cart"] }, '"services.0" is "cart"'],
    ["a service with a path", { services: ["shop/cart/x"] }, '"services.0"'],
    ["too many services", { services: Array(1_001).fill("a/b") }, "a list of 1001"],
    ["an end before time", { expiresAtMs: -1 }, '"expiresAtMs" is -1'],
    ["a grace of years", { graceSeconds: 1e9 }, '"graceSeconds"'],
    ["a reason in two lines", { reason: "a\nb" }, '"reason"'],
    ["a cluster's id that cannot be", { clusterId: 512 }, '"clusterId" is 512'],
  ];
  test.each(refused)("refuses %s", (_, change, message) => {
    expect(() => parseDrain("cluster-1", encoded(change))).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      }),
    );
  });

  test("parses or refuses, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(fc.constant(encodeDrain(DRAIN))), (bytes) => {
        const parsed = parsedOrRefused(() => parseDrain("cluster-1", bytes));
        expect(parsed === undefined || parsed.percent <= 100).toBe(true);
      }),
    );
  });
});

describe("parseOwnDrain()", () => {
  test("takes what a cluster says of itself, with its id", () => {
    expect(parseOwnDrain("cluster-1", encoded({ clusterId: undefined }), WEST)).toEqual(DRAIN);
  });

  test("refuses what it says of others, by name or by id", () => {
    expect(() => parseOwnDrain("cluster-1", encoded({ cluster: "east" }), WEST)).toThrow(
      '"west" drains cluster "east", and may drain itself only',
    );
    expect(() => parseOwnDrain("cluster-1", encoded({ clusterId: 1 }), WEST)).toThrow(
      'field "clusterId" is 1, want 2',
    );
  });
});

test("drainIsInForce() ends with the record's time, if it has one", () => {
  expect(drainIsInForce(DRAIN, 4_999)).toBe(true);
  expect(drainIsInForce(DRAIN, 5_000)).toBe(false);
  expect(drainIsInForce({ ...DRAIN, expiresAtMs: 0 }, 5_000)).toBe(true);
});

test("sameDrain() compares every field", () => {
  expect(sameDrain(DRAIN, { ...DRAIN })).toBe(true);
  expect(sameDrain(DRAIN, { ...DRAIN, services: [] })).toBe(false);
});

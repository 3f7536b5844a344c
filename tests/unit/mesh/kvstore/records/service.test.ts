import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../../mesh/core/cluster.ts";
import {
  encodeService,
  parseService,
  serviceName,
} from "../../../../../mesh/kvstore/records/service.ts";
import { clusterIdentity, damaged, service } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const EAST: ClusterIdentity = { name: "east", id: 1, maxConnectedClusters: 255 };
/** As Go's JSON encoder writes it; the fields of a port have no tags, so their names are Go's. */
const SERVICE_JSON =
  '{"cluster":"east","namespace":"shop","name":"cart",' +
  '"frontends":{"10.96.7.9":{"http":{"Protocol":"TCP","Port":80}}},' +
  '"backends":{"10.1.2.3":{"http":{"Protocol":"TCP","Port":8080}},' +
  '"fd00:1::3":{"":{"Protocol":"UDP","Port":53}}},' +
  '"labels":{"team":"checkout"},"selector":{"app":"cart"},' +
  '"includeExternal":true,"shared":true,"clusterID":1}';

const json = (fields: Record<string, unknown> = {}): Buffer =>
  Buffer.from(JSON.stringify({ ...(JSON.parse(SERVICE_JSON) as object), ...fields }));
const parse = (fields: Record<string, unknown>): unknown =>
  parseService("shop/cart", json(fields), EAST);
const http = { http: { Protocol: "TCP", Port: 80 } };

describe("parseService()", () => {
  test("reads a service as a Cilium cluster writes it, and encodeService() writes the same bytes", () => {
    const value = parseService("shop/cart", Buffer.from(SERVICE_JSON), EAST);
    expect(value).toEqual({
      cluster: "east",
      clusterId: 1,
      namespace: "shop",
      name: "cart",
      frontends: new Map([["10.96.7.9", new Map([["http", { protocol: "TCP", port: 80 }]])]]),
      backends: new Map([
        ["10.1.2.3", new Map([["http", { protocol: "TCP", port: 8080 }]])],
        ["fd00:1::3", new Map([["", { protocol: "UDP", port: 53 }]])],
      ]),
      labels: new Map([["team", "checkout"]]),
      selector: new Map([["app", "cart"]]),
      includeExternal: true,
      shared: true,
    });
    expect(encodeService(value).toString()).toBe(SERVICE_JSON);
  });

  test("reads Go's null for an empty map, and fields that it does not know", () => {
    const value = parse({
      frontends: null,
      backends: { "10.1.2.3": null },
      labels: null,
      selector: null,
      hostnames: { "10.1.2.3": "cart-0" },
      zones: { "10.1.2.3": { zone: "a", forZones: [{ name: "a" }] } },
    });
    expect(value).toMatchObject({
      frontends: new Map(),
      backends: new Map([["10.1.2.3", new Map()]]),
      labels: new Map(),
    });
  });

  test("reads those that leave, and writes them only where there are any", () => {
    const leaving = new Map([["10.1.2.4", new Map([["http", { protocol: "TCP", port: 80 }]])]]);
    const value = parseService("shop/cart", json({ leaving: { "10.1.2.4": http } }), EAST);
    expect(value).toMatchObject({ leaving });
    expect(parseService("shop/cart", encodeService(value), EAST)).toEqual(value);
    expect(() => parse({ leaving: { nonsense: http } })).toThrow("leaving");
  });

  test("reads addresses under their canonical text", () => {
    expect(parse({ backends: { "FD00:1:0::3": http } })).toMatchObject({
      backends: new Map([["fd00:1::3", new Map([["http", { protocol: "TCP", port: 80 }]])]]),
    });
  });

  for (const [field, value, reason] of [
    ["cluster", "west", /field "cluster" is "west", want "east"/],
    ["clusterID", 2, /field "clusterID" is 2, want 1/],
    ["clusterID", undefined, /field "clusterID" is missing, want 1/],
    ["namespace", "other", /say other\/cart, want what the key says/],
    ["namespace", "shop/cart", /field "namespace"/],
    ["name", "", /field "name" is "", want a service's name/],
    ["frontends", [], /field "frontends" is a list of 0, want an object/],
    ["backends", { "10.1.2": http }, /field "backends.10.1.2" is "10.1.2", want an IP address/],
    ["backends", { "127.0.0.1": http }, /not loopback/],
    ["backends", { "169.254.169.254": http }, /not link-local/],
    ["backends", { "fd00::1": http, "FD00:0::1": http }, /holds fd00::1 twice/],
    ["backends", { "10.1.2.3": [] }, /field "backends.10.1.2.3" is a list of 0/],
    ["backends", { "10.1.2.3": { http: {} } }, /"backends.10.1.2.3.http.Protocol" is missing/],
    [
      "backends",
      { "10.1.2.3": { http: { Protocol: "TCP", Port: 65_536 } } },
      /"backends.10.1.2.3.http.Port" is 65536, want a whole number from 1 to 65535/,
    ],
    ["backends", { "10.1.2.3": { http: { Protocol: "ICMP", Port: 1 } } }, /want one of "TCP"/],
    ["backends", { "10.1.2.3": { "h p": { Protocol: "TCP", Port: 1 } } }, /has the key "h p"/],
    ["backends", { "10.1.2.3": JSON.parse('{"__proto__":{}}') }, /has the key "__proto__"/],
    ["labels", { a: ["b"] }, /field "labels.a" is a list of 1/],
    ["labels", { a: "b\u009b2J" }, /field "labels.a" is "b\\u009b2J"/],
    ["selector", "app=cart", /field "selector"/],
    ["includeExternal", "true", /field "includeExternal" is "true", want true or false/],
    ["shared", 1, /field "shared" is 1, want true or false/],
  ] as const) {
    test(`refuses ${field} = ${JSON.stringify(value)?.slice(0, 60)}`, () => {
      expect(() => parse({ [field]: value })).toThrow(reason);
    });
  }

  test("refuses more addresses, ports and labels than the limits", () => {
    const many = <V>(count: number, value: V, key = (i: number): string => `k${i}`): object =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [key(i), value]));
    const address = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    expect(() => parse({ backends: many(10_001, http, address) })).toThrow(
      /field "backends" has 10001 keys, want at most 10000/,
    );
    expect(() => parse({ frontends: many(17, http, address) })).toThrow(/want at most 16/);
    expect(() => parse({ labels: many(257, "v") })).toThrow(/want at most 256/);
    expect(() => parse({ backends: { "10.1.2.3": many(129, http.http) } })).toThrow(
      /want at most 128/,
    );
    expect(parse({ backends: many(10_000, http, address) })).toMatchObject({ name: "cart" });
  });

  test("reads back what encodeService() writes", () => {
    const cases = clusterIdentity.chain((cluster) =>
      service(cluster).map((value) => ({ cluster, value })),
    );
    fc.assert(
      fc.property(cases, ({ cluster, value }) => {
        expect(parseService(serviceName(value), encodeService(value), cluster)).toEqual(value);
      }),
    );
  });

  test("accepts only the peer's own name and id, whatever bytes it is given", () => {
    const cases = service(EAST).chain((value) =>
      fc.record({
        name: fc.constant(serviceName(value)),
        bytes: damaged(fc.constant(encodeService(value))),
      }),
    );
    fc.assert(
      fc.property(cases, ({ name, bytes }) => {
        const parsed = parsedOrRefused(() => parseService(name, bytes, EAST));
        if (parsed === undefined) return;
        expect(serviceName(parsed)).toBe(name);
        expect(parsed).toMatchObject({ cluster: "east", clusterId: 1 });
        expect(parseService(name, encodeService(parsed), EAST)).toEqual(parsed);
      }),
      { numRuns: 1_000 },
    );
  });
});

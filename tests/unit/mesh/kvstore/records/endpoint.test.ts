import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../../mesh/core/cluster.ts";
import {
  encodeEndpoint,
  endpointName,
  parseEndpoint,
} from "../../../../../mesh/kvstore/records/endpoint.ts";
import { clusterIdentity, damaged, endpoint } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const EAST: ClusterIdentity = { name: "east", id: 1, maxConnectedClusters: 255 };
/** As Go's JSON encoder writes the struct, field by field. */
const POD_JSON =
  '{"IP":"10.1.2.3","Mask":null,"HostIP":"192.168.7.4","ID":70001,"Key":255,"Metadata":"",' +
  '"K8sNamespace":"shop","K8sPodName":"cart-6b7c9-x2x4z","K8sServiceAccount":"cart",' +
  '"NamedPorts":[{"Name":"http","Port":8080,"Protocol":"TCP"}]}';

const pod = (fields: Record<string, unknown> = {}): Buffer =>
  Buffer.from(JSON.stringify({ ...(JSON.parse(POD_JSON) as object), ...fields }));
const parse = (name: string, fields: Record<string, unknown>): unknown =>
  parseEndpoint(name, pod(fields), EAST);

describe("parseEndpoint()", () => {
  test("reads a pod as a Cilium cluster writes it, and encodeEndpoint() writes the same bytes", () => {
    const value = parseEndpoint("10.1.2.3", Buffer.from(POD_JSON), EAST);
    expect(value).toEqual({
      prefix: "10.1.2.3",
      hostIp: "192.168.7.4",
      identity: 70_001,
      encryptionKey: 255,
      namespace: "shop",
      podName: "cart-6b7c9-x2x4z",
      serviceAccount: "cart",
      namedPorts: [{ name: "http", port: 8080, protocol: "TCP" }],
    });
    expect(encodeEndpoint(value).toString()).toBe(POD_JSON);
  });

  test("reads an address without a pod, a node or a key", () => {
    const json = '{"IP":"fd00:1::7","Mask":null,"HostIP":"","ID":4,"Key":0,"Metadata":""}';
    const value = parseEndpoint("fd00:1::7", Buffer.from(json), EAST);
    expect(value).toMatchObject({ prefix: "fd00:1::7", hostIp: "", identity: 4, namedPorts: [] });
    expect(encodeEndpoint(value).toString()).toBe(json);
  });

  for (const [name, ip, mask] of [
    ["10.1.0.0/16", "10.1.0.0", "//8AAA=="],
    ["10.1.2.0/23", "10.1.2.0", "///+AA=="],
    ["fd00:1::/64", "fd00:1::", "//////////8AAAAAAAAAAA=="],
  ] as const) {
    test(`reads the mask of ${name}`, () => {
      const value = parseEndpoint(name, pod({ IP: ip, Mask: mask }), EAST);
      expect(endpointName(value)).toBe(name);
      expect(JSON.parse(encodeEndpoint(value).toString())).toMatchObject({ IP: ip, Mask: mask });
    });
  }

  test("ignores fields that it does not know", () => {
    expect(parse("10.1.2.3", { Zone: { deep: [[[1]]] } })).toMatchObject({ prefix: "10.1.2.3" });
  });

  test("reads a peer's own host as a remote node", () => {
    expect(parse("10.1.2.3", { ID: 1 })).toMatchObject({ identity: 6 });
  });

  for (const [field, value, reason] of [
    ["IP", "10.1.2.4", /say 10.1.2.4, want what the key says/],
    ["IP", "10.1.2", /field "IP" is "10.1.2", want an IP address/],
    ["IP", "127.0.0.1", /not loopback/],
    ["IP", "169.254.1.1", /not link-local/],
    ["IP", undefined, /field "IP" is missing/],
    ["IP", ["10.1.2.3"], /is a list of 1/],
    ["Mask", "//8AAA=", /field "Mask"/],
    ["Mask", "/wD/AA==", /unbroken mask/],
    ["Mask", "AAAAAA==", /a length from 8 to 32/],
    ["Mask", "/////w==", /null for a single address/],
    ["Mask", "//////////8AAAAAAAAAAA==", /as long as the address/],
    ["Mask", "//8AAA==", /want 10.1.0.0\/16/],
    ["HostIP", "worker-1", /field "HostIP"/],
    ["HostIP", "0.0.0.0", /not unspecified/],
    ["ID", 65_535, /field "ID" is 65535, want 65536 to 131071 \(cluster 1\) or below 256/],
    ["ID", 131_072, /field "ID"/],
    ["ID", 256, /field "ID"/],
    ["ID", -1, /field "ID"/],
    ["ID", 70_000.5, /field "ID"/],
    ["ID", "70000", /field "ID"/],
    ["ID", null, /field "ID"/],
    ["Key", 16, /field "Key" is 16, want 0 to 15, or 255/],
    ["Key", 256, /field "Key"/],
    ["K8sNamespace", "Shop", /namespace's name/],
    ["K8sNamespace", "a".repeat(64), /namespace's name/],
    ["K8sPodName", "cart\u001b[2J", /pod's name/],
    ["K8sServiceAccount", 7, /service account's name/],
    ["NamedPorts", {}, /is an object, want a list/],
    ["NamedPorts", [1], /field "NamedPorts.0" is 1, want an object/],
    ["NamedPorts", [{ Name: "http", Port: 0, Protocol: "TCP" }], /"NamedPorts.0.Port" is 0/],
    ["NamedPorts", [{ Name: "http", Port: 1, Protocol: "tcp" }], /want one of "TCP", "UDP"/],
    ["NamedPorts", Array.from({ length: 257 }, () => ({})), /a list of 257, want .* at most 256/],
  ] as const) {
    test(`refuses ${field} = ${JSON.stringify(value)?.slice(0, 40)}`, () => {
      expect(() => parse("10.1.2.3", { [field]: value })).toThrow(reason);
    });
  }

  test("refuses a key whose text is not canonical", () => {
    expect(() => parse("FD00:1::7", { IP: "fd00:1::7" })).toThrow(/want what the key says/);
    expect(() => parse("10.1.2.3/32", {})).toThrow(/want what the key says/);
  });

  test("reads back what encodeEndpoint() writes", () => {
    const cases = clusterIdentity.chain((cluster) =>
      endpoint(cluster).map((value) => ({ cluster, value })),
    );
    fc.assert(
      fc.property(cases, ({ cluster, value }) => {
        expect(parseEndpoint(endpointName(value), encodeEndpoint(value), cluster)).toEqual(value);
      }),
    );
  });

  test("accepts only its own range, whatever bytes it is given", () => {
    const cases = endpoint(EAST).chain((value) =>
      fc.record({
        name: fc.oneof(fc.constant(endpointName(value)), fc.string()),
        bytes: damaged(fc.constant(encodeEndpoint(value))),
      }),
    );
    fc.assert(
      fc.property(cases, ({ name, bytes }) => {
        const parsed = parsedOrRefused(() => parseEndpoint(name, bytes, EAST));
        if (parsed === undefined) return;
        expect(parsed.prefix).toBe(name);
        expect(parsed.identity < 256 || parsed.identity >> 16 === 1).toBe(true);
        expect(parseEndpoint(name, encodeEndpoint(parsed), EAST)).toEqual(parsed);
      }),
      { numRuns: 1_000 },
    );
  });
});

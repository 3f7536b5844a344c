import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../../mesh/core/cluster.ts";
import { encodeNode, nodeName, parseNode } from "../../../../../mesh/kvstore/records/node.ts";
import { clusterIdentity, damaged, node } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const WEST: ClusterIdentity = { name: "west", id: 2, maxConnectedClusters: 255 };
/** As Go's JSON encoder writes the struct: prefixes as objects, unset addresses as "". */
const NODE_JSON =
  '{"Name":"worker-1","Cluster":"west","IPAddresses":[{"Type":"InternalIP","IP":"192.168.8.4"},' +
  '{"Type":"CiliumInternalIP","IP":"10.2.1.9"},{"Type":"InternalIP","IP":"fd08::4"}],' +
  '"IPv4AllocCIDR":{"IP":"10.2.1.0","Mask":"////AA=="},"IPv4SecondaryAllocCIDRs":null,' +
  '"IPv6AllocCIDR":{"IP":"fd02:0:0:1::","Mask":"//////////8AAAAAAAAAAA=="},' +
  '"IPv6SecondaryAllocCIDRs":null,"IPv4HealthIP":"10.2.1.77","IPv6HealthIP":"",' +
  '"IPv4IngressIP":"","IPv6IngressIP":"","ClusterID":2,"Source":"kvstore","EncryptionKey":255,' +
  '"Labels":{"kubernetes.io/hostname":"worker-1"},"Annotations":{"note":"two\\nlines"},' +
  '"WireguardPubKey":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",' +
  '"BootID":"0b7f9c1e-6a52-4f0e-9d37-2f1c5a8e4b60"}';

const json = (fields: Record<string, unknown> = {}): Buffer =>
  Buffer.from(JSON.stringify({ ...(JSON.parse(NODE_JSON) as object), ...fields }));
const parse = (fields: Record<string, unknown>): unknown =>
  parseNode("worker-1", json(fields), WEST);

describe("parseNode()", () => {
  test("reads a node as a Cilium cluster writes it", () => {
    expect(parseNode("worker-1", Buffer.from(NODE_JSON), WEST)).toEqual({
      cluster: "west",
      clusterId: 2,
      name: "worker-1",
      addresses: [
        { type: "InternalIP", ip: "192.168.8.4" },
        { type: "CiliumInternalIP", ip: "10.2.1.9" },
        { type: "InternalIP", ip: "fd08::4" },
      ],
      podPrefixes: ["10.2.1.0/24", "fd02:0:0:1::/64"],
      encryptionKey: 255,
      wireguardPublicKey: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
      bootId: "0b7f9c1e-6a52-4f0e-9d37-2f1c5a8e4b60",
      labels: new Map([["kubernetes.io/hostname", "worker-1"]]),
      annotations: new Map([["note", "two\nlines"]]),
    });
  });

  test("reads the least that a node can be", () => {
    const value = Buffer.from('{"Name":"n","Cluster":"west","ClusterID":2,"Labels":null}');
    expect(parseNode("n", value, WEST)).toMatchObject({ addresses: [], podPrefixes: [] });
  });

  test("reads a prefix written as text, and further prefixes behind the first ones", () => {
    expect(
      parse({
        IPv4AllocCIDR: "10.2.1.0/24",
        IPv4SecondaryAllocCIDRs: [{ IP: "10.2.64.0", Mask: "///AAA==" }],
      }),
    ).toMatchObject({ podPrefixes: ["10.2.1.0/24", "fd02:0:0:1::/64", "10.2.64.0/18"] });
  });

  test("takes the first secondary prefix for the primary one that is missing", () => {
    expect(
      parse({ IPv4AllocCIDR: null, IPv4SecondaryAllocCIDRs: ["10.2.64.0/18", "10.2.0.0/24"] }),
    ).toMatchObject({ podPrefixes: ["10.2.64.0/18", "fd02:0:0:1::/64", "10.2.0.0/24"] });
  });

  test("leaves out addresses of a type from the future", () => {
    expect(parse({ IPAddresses: [{ Type: "MeshIP", IP: "10.9.9.9" }] })).toMatchObject({
      addresses: [],
    });
  });

  for (const [field, value, reason] of [
    ["Name", "worker-2", /field "Name" is "worker-2", want "worker-1"/],
    ["Name", "", /field "Name" is "", want a node's name/],
    ["Cluster", "east", /field "Cluster" is "east", want "west"/],
    ["Cluster", undefined, /field "Cluster" is missing, want "west"/],
    ["ClusterID", 1, /field "ClusterID" is 1, want 2/],
    ["ClusterID", "2", /field "ClusterID" is "2", want 2/],
    ["IPAddresses", {}, /field "IPAddresses" is an object/],
    ["IPAddresses", [{ Type: "InternalIP", IP: "::1" }], /"IPAddresses.0.IP".*not loopback/],
    ["IPAddresses", [{ Type: 4, IP: "10.0.0.1" }], /"IPAddresses.0.Type" is 4/],
    ["IPAddresses", Array.from({ length: 65 }, () => ({})), /list of 65/],
    ["IPv4AllocCIDR", { IP: "10.2.1.1", Mask: "////AA==" }, /want 10.2.1.0\/24/],
    ["IPv4AllocCIDR", { IP: "0.0.0.0", Mask: "AAAAAA==" }, /a length from 8 to 32/],
    ["IPv4AllocCIDR", { IP: "127.0.0.0", Mask: "/wAAAA==" }, /not loopback/],
    ["IPv4AllocCIDR", { IP: "fd00::", Mask: "//////////8AAAAAAAAAAA==" }, /want an IPv4 prefix/],
    ["IPv4AllocCIDR", "10.2.1.0", /"IPv4AllocCIDR"/],
    ["IPv4AllocCIDR", 7, /"IPv4AllocCIDR" is 7, want an object/],
    ["IPv4SecondaryAllocCIDRs", [{ IP: "10.2.1.0", Mask: "////AA==" }], /stands there twice/],
    ["EncryptionKey", 99, /want 0 to 15, or 255/],
    ["WireguardPubKey", "AAAA", /base64 of 32 bytes/],
    ["BootID", "x y", /boot id/],
    ["Labels", ["a"], /field "Labels" is a list/],
    ["Labels", { a: 1 }, /field "Labels.a" is 1/],
    ["Labels", { "a b": "c" }, /has the key "a b"/],
    ["Labels", JSON.parse('{"__proto__":"x"}'), /has the key "__proto__"/],
    ["Annotations", { a: "\0" }, /field "Annotations.a"/],
    ["Annotations", { a: "\ud800" }, /field "Annotations.a"/],
  ] as const) {
    test(`refuses ${field} = ${JSON.stringify(value)?.slice(0, 50)}`, () => {
      expect(() => parse({ [field]: value })).toThrow(reason);
    });
  }

  test("reads back what encodeNode() writes", () => {
    const cases = clusterIdentity.chain((cluster) =>
      node(cluster).map((value) => ({ cluster, value })),
    );
    fc.assert(
      fc.property(cases, ({ cluster, value }) => {
        expect(parseNode(nodeName(value), encodeNode(value), cluster)).toEqual(value);
      }),
    );
  });

  test("accepts only the peer's own name and id, whatever bytes it is given", () => {
    const cases = node(WEST).chain((value) =>
      fc.record({
        name: fc.constant(nodeName(value)),
        bytes: damaged(fc.constant(encodeNode(value))),
      }),
    );
    fc.assert(
      fc.property(cases, ({ name, bytes }) => {
        const parsed = parsedOrRefused(() => parseNode(name, bytes, WEST));
        if (parsed === undefined) return;
        expect(parsed).toMatchObject({ name, cluster: "west", clusterId: 2 });
        expect(parseNode(name, encodeNode(parsed), WEST)).toEqual(parsed);
      }),
      { numRuns: 1_000 },
    );
  });
});

import { describe, expect, test } from "@jest/globals";
import {
  becauseText,
  entryPorts,
  entryPortText,
  peerText,
  planeText,
  portText,
} from "../../../../agent/status/policy-words.ts";
import type { PolicyPeer, PortMatch } from "../../../../mesh/core/policy.ts";

describe("peerText()", () => {
  const cases: readonly (readonly [PolicyPeer, string])[] = [
    [{ kind: "pods", selector: [] }, "every pod"],
    [
      { kind: "pods", selector: [{ key: "k8s:app", operator: "In", values: ["a", "b"] }] },
      "pods k8s:app in (a,b)",
    ],
    [{ kind: "entity", entity: "world" }, "entity world"],
    [{ kind: "cidr", cidr: "10.0.0.0/8", except: [] }, "cidr 10.0.0.0/8"],
    [
      { kind: "cidr", cidr: "10.0.0.0/8", except: ["10.1.0.0/16", "10.2.0.0/16"] },
      "cidr 10.0.0.0/8 except 10.1.0.0/16, 10.2.0.0/16",
    ],
  ];
  test.each(cases)("%j is %s", (peer, text) => expect(peerText(peer)).toBe(text));
});

describe("portText()", () => {
  const cases: readonly (readonly [PortMatch, string])[] = [
    [{ protocol: "TCP", first: 80, last: 80 }, "TCP 80"],
    [{ protocol: "ANY", first: 8_000, last: 8_080 }, "ANY 8000-8080"],
    [{ protocol: "UDP", first: 0, last: 65_535 }, "UDP"],
    [{ protocol: "UDP", first: 0, last: 300 }, "UDP 0-300"],
    [{ protocol: "TCP", name: "http" }, "TCP http"],
    [{ protocol: "ICMP", type: 8 }, "ICMP 8"],
  ];
  test.each(cases)("%j is %s", (match, text) => expect(portText(match)).toBe(text));
});

describe("entryPorts()", () => {
  test.each([
    ["every protocol", [0, 0, 0], { first: 0, last: 65_535 }, ""],
    ["a port", [6, 80, 16], { first: 80, last: 80 }, "TCP 80"],
    ["a prefix", [17, 8_000, 10], { first: 8_000, last: 8_063 }, "UDP 8000-8063"],
    ["every port", [6, 0, 0], { first: 0, last: 65_535 }, "TCP"],
    ["an ICMP type", [1, 8, 16], { first: 8, last: 8 }, "ICMP 8"],
    ["every ICMP type", [58, 0, 0], { first: 0, last: 255 }, "ICMPv6"],
  ] as const)("of %s", (_, [protocol, port, portPrefixBits], ports, text) => {
    const entry = { protocol, port, portPrefixBits };
    expect(entryPorts(entry)).toEqual(ports);
    expect(entryPortText(entry)).toBe(text);
  });
});

describe("planeText()", () => {
  test("says whom an aggregate stands for, and nothing of others", () => {
    expect([0, 11, 12, 13].map(planeText)).toEqual([
      "anybody",
      "every pod of this cluster",
      "every pod of other clusters",
      "everything outside the mesh",
    ]);
    expect(planeText(65_536)).toBe("");
  });
});

describe("becauseText()", () => {
  test.each([
    ["rule", "allow", "allowed by a rule"],
    ["rule", "deny", "denied by a rule"],
    ["default-allow", "allow", "no policy restricts this direction"],
    ["default-deny", "deny", "no rule allows it"],
    ["host", "allow", "the own node may always come in"],
    ["unknown-identity", "deny", "closed: its identity is not known yet"],
  ] as const)("%s, %s", (because, verdict, text) => {
    expect(becauseText({ because, verdict })).toBe(text);
  });
});

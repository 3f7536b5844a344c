import { describe, expect, test } from "@jest/globals";
import { peerMeans, prefixOfNumber } from "../../../../agent/status/peer-members.ts";
import { FIRST_CIDR_NUMBER } from "../../../../agent/policy/entry.ts";
import type { PolicyPeer } from "../../../../mesh/core/policy.ts";
import { labelsFromTexts } from "../../../../mesh/core/selector.ts";
import { app, CART, OWN_RANGE, WEST_WEB } from "../../../fakes/policy-node.ts";

function means(peer: PolicyPeer, number: number, parts: { prefix?: string; app?: string } = {}) {
  const labels = labelsFromTexts(parts.app === undefined ? [] : [`k8s:app=${parts.app}`]);
  const prefix = prefixOfNumber(number, parts.prefix ?? "");
  return peerMeans(peer, { number, labels, prefix }, OWN_RANGE);
}

describe("peerMeans()", () => {
  test("pods are meant by labels; hosts and the world never are", () => {
    const peer: PolicyPeer = { kind: "pods", selector: app("cart") };
    expect(means(peer, CART, { app: "cart" })).toBe(true);
    expect(means(peer, CART, { app: "web" })).toBe(false);
    const every: PolicyPeer = { kind: "pods", selector: [] };
    expect(means(every, WEST_WEB)).toBe(true);
    expect([1, 2, 6, 9, FIRST_CIDR_NUMBER].filter((number) => means(every, number))).toEqual([]);
  });

  test.each([
    ["all", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, CART, WEST_WEB]],
    ["world", [2, 9, 10]],
    ["world-ipv4", [9]],
    ["world-ipv6", [10]],
    ["cluster", [1, 4, 5, 6, 7, 8, CART]],
    ["host", [1]],
    ["remote-node", [6, 7]],
    ["health", [4]],
    ["init", [5]],
    ["ingress", [8]],
    ["unmanaged", [3]],
    ["none", []],
  ] as const)("entity %s", (entity, numbers) => {
    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, CART, WEST_WEB];
    expect(all.filter((number) => means({ kind: "entity", entity }, number))).toEqual(numbers);
  });

  test("a number of the node's own is the world, and of its family", () => {
    const v6 = { prefix: "2001:db8::/32" };
    expect(means({ kind: "entity", entity: "world" }, FIRST_CIDR_NUMBER, v6)).toBe(true);
    expect(means({ kind: "entity", entity: "world-ipv6" }, FIRST_CIDR_NUMBER, v6)).toBe(true);
    expect(means({ kind: "entity", entity: "world-ipv4" }, FIRST_CIDR_NUMBER, v6)).toBe(false);
  });

  test("a CIDR means the prefixes in it that lie in no exception", () => {
    const peer: PolicyPeer = { kind: "cidr", cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] };
    const ofPrefix = (prefix: string): boolean => means(peer, FIRST_CIDR_NUMBER, { prefix });
    expect(ofPrefix("10.0.0.0/8")).toBe(true);
    expect(ofPrefix("10.2.0.0/24")).toBe(true);
    expect(ofPrefix("10.1.2.0/24")).toBe(false);
    expect(ofPrefix("0.0.0.0/0")).toBe(false);
    expect(ofPrefix("2001:db8::/32")).toBe(false);
    expect(means(peer, CART)).toBe(false);
    const every: PolicyPeer = { kind: "cidr", cidr: "0.0.0.0/0", except: [] };
    expect([2, 9, 10].filter((number) => means(every, number))).toEqual([9]);
  });
});

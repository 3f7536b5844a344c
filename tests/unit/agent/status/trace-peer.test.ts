import { describe, expect, test } from "@jest/globals";
import { openIdentityBook } from "../../../../agent/observe/identity-book.ts";
import { findTracePeer } from "../../../../agent/status/trace-peer.ts";
import { ipcacheKeyFromText } from "../../../../bpf/address.ts";
import type { TraceRequest } from "../../../../mesh/api/policy-messages.ts";
import {
  CART,
  cartPolicy,
  startPolicyNode,
  WEB,
  WEST_WEB,
  type PolicyNodeFake,
} from "../../../fakes/policy-node.ts";

const REQUEST: TraceRequest = {
  namespace: "shop",
  name: "cart-1",
  direction: "ingress",
  peerPod: null,
  peerAddress: "",
  protocol: "TCP",
  port: 80,
};

function find(node: PolicyNodeFake, request: Partial<TraceRequest>) {
  const context = { parts: node.parts, book: openIdentityBook(node.parts) };
  return findTracePeer({ ...REQUEST, ...request }, context);
}

async function start() {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  node.addAddress("10.2.1.9", { name: "web-9", identity: WEST_WEB, node: "172.16.2.1" });
  node.putIpcache("172.16.2.1/32", 6);
  node.putIpcache("10.2.1.0/24", 3, "172.16.2.1");
  const peers = [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }] as const;
  node.putPolicy(cartPolicy([{ peers }]));
  await node.sync();
  return node;
}

describe("findTracePeer()", () => {
  test("finds a pod of any cluster by its name", async () => {
    await using node = await start();
    const name = { namespace: "shop", name: "web-9" };
    expect(find(node, { peerPod: { ...name, cluster: "west" } })).toEqual({
      address: "10.2.1.9",
      identity: WEST_WEB,
      kernelIdentity: WEST_WEB,
    });
    const own = { namespace: "shop", name: "cart-1" };
    for (const cluster of ["", "east"]) {
      expect(find(node, { peerPod: { ...own, cluster } })).toMatchObject({ identity: CART });
    }
    for (const peerPod of [
      { ...name, cluster: "east" },
      { ...name, cluster: "north" },
    ]) {
      expect(() => find(node, { peerPod })).toThrow(expect.objectContaining({ code: "not_found" }));
    }
  });

  test("takes the address of the protocol's family", async () => {
    await using node = await start();
    const record = node.west.endpoints.get("10.2.1.9");
    if (record === undefined) throw new Error("No record");
    node.west.endpoints.put("fd00::9", { ...record, prefix: "fd00::9" });
    const peerPod = { cluster: "west", namespace: "shop", name: "web-9" };
    expect(find(node, { peerPod, protocol: "TCP" }).address).toBe("10.2.1.9");
    expect(find(node, { peerPod, protocol: "ICMPv6" }).address).toBe("fd00::9");
  });

  test("knows a pod of the node that has no address yet", async () => {
    await using node = await start();
    const pod = { namespace: "shop", name: "soon-1" };
    node.intent.own.pods.put("shop/soon-1", { ...pod, identity: WEB, namedPorts: [] });
    expect(find(node, { peerPod: { ...pod, cluster: "" } })).toEqual({
      address: "",
      identity: WEB,
      kernelIdentity: WEB,
    });
  });

  test.each([
    ["a pod", "10.2.1.9", WEST_WEB],
    ["a node", "172.16.2.1", 6],
    ["a pod that nobody has told of", "10.2.1.77", 3],
    ["outside", "198.51.100.1", 9],
    ["outside, IPv6", "2001:db8::1", 10],
  ])("takes an address for %s", async (_, peerAddress, identity) => {
    await using node = await start();
    const peer = find(node, { peerAddress });
    expect(peer).toEqual({ address: peerAddress, identity, kernelIdentity: identity });
  });

  test("an address in a prefix that policies name has the node's number", async () => {
    await using node = await start();
    const [row] = node.parts.engine.rows();
    const peer = find(node, { peerAddress: "192.0.2.7" });
    expect(peer).toMatchObject({ identity: row?.identity, kernelIdentity: row?.identity });
  });

  test("says what the kernel takes the address for, where packets do not say it themselves", async () => {
    await using node = await start();
    node.putIpcache("10.2.1.9/32", 3, "172.16.2.1");
    const peerAddress = "10.2.1.9";
    expect(find(node, { peerAddress, direction: "egress" })).toMatchObject({
      identity: WEST_WEB,
      kernelIdentity: 3,
    });
    expect(find(node, { peerAddress, direction: "ingress" })).toMatchObject({
      kernelIdentity: WEST_WEB,
    });
  });

  test("a pod of the node that etcd does not know yet has the identity of its row", async () => {
    await using node = await start();
    node.intent.own.endpoints.delete("10.1.1.12");
    node.maps.ipcache.delete(ipcacheKeyFromText("10.1.1.12/32"));
    const known = { identity: CART, kernelIdentity: CART };
    expect(find(node, { peerAddress: "10.1.1.12" })).toMatchObject(known);
    node.maps.policyState.delete({ ifindex: 12 });
    const init = { identity: 5, kernelIdentity: 5 };
    expect(find(node, { peerAddress: "10.1.1.12" })).toMatchObject(init);
  });

  test("wants a peer", async () => {
    await using node = await start();
    for (const peerAddress of ["", "web-9", "10.2.1.0/24"]) {
      expect(() => find(node, { peerAddress })).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    }
  });
});

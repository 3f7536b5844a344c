import { describe, expect, test } from "@jest/globals";
import { createDecorator } from "../../../../agent/observe/decorate.ts";
import { DropReason } from "../../../../bpf/gen/drop.ts";
import {
  FlowKind,
  FlowVerdict,
  TrafficDirection,
  type FlowRecord,
} from "../../../../bpf/gen/layout.ts";
import { flowRecord } from "../../../fakes/flow-records.ts";
import { CART, cartPolicy, startPolicyNode, WEST_WEB } from "../../../fakes/policy-node.ts";

async function start() {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  node.addAddress("10.2.1.9", { name: "web-9", identity: WEST_WEB, node: "172.16.2.1" });
  const peers = [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }] as const;
  node.putPolicy(cartPolicy([{ peers }]));
  await node.sync();
  const wallMs = (timeNs: bigint): number => 1_000 + Number(timeNs) / 1e6;
  return {
    ...node,
    decorate: (record: FlowRecord) => createDecorator({ ...node.parts, wallMs })(record),
  };
}

const WEB_END = {
  address: "10.2.1.9",
  port: 40_000,
  identity: WEST_WEB,
  cluster: "west",
  namespace: "shop",
  pod: "web-9",
};
const CART_END = {
  address: "10.1.1.12",
  port: 8_080,
  identity: CART,
  cluster: "east",
  namespace: "shop",
  pod: "cart-1",
};

describe("createDecorator()", () => {
  test("names both ends, the rule and the wall's time", async () => {
    await using node = await start();
    const [entry] = [...(node.policies.open(12)?.entries() ?? [])].filter(
      ([, { rule }]) => rule > 0,
    );
    const flow = node.decorate(flowRecord({ rule: entry?.[1].rule ?? 0 }));
    expect(flow).toMatchObject({
      timeMs: 1_001,
      node: "east-1",
      verdict: "forwarded",
      reason: "",
      direction: "ingress",
      protocol: "TCP",
      source: WEB_END,
      destination: CART_END,
      rule: { policy: "CiliumNetworkPolicy/shop/cart", path: "spec.ingress[0]" },
      packets: 1,
      bytes: 60,
      replyPackets: 0,
      replyBytes: 0,
      state: "new",
    });
    expect(flow.source?.labels).toContain("k8s:app=web");
    expect(flow.destination?.labels).toContain("k8s:app=cart");
  });

  test("of a connection the source is who opened it, whichever packet made the record", async () => {
    await using node = await start();
    const counts = { packets: 3n, bytes: 300n, replyPackets: 2n, replyBytes: 2_000n };
    const reply = flowRecord({
      ...counts,
      kind: FlowKind.update,
      isReply: 1,
      source: "10.1.1.12",
      destination: "10.2.1.9",
      sourceIdentity: CART,
      destinationIdentity: WEST_WEB,
      sourcePort: 8_080,
      destinationPort: 40_000,
    });
    expect(node.decorate(reply)).toMatchObject({
      source: WEB_END,
      destination: CART_END,
      packets: 3,
      bytes: 300,
      replyPackets: 2,
      replyBytes: 2_000,
      state: "update",
    });
    expect(node.decorate(flowRecord({ kind: FlowKind.closed }))).toMatchObject({
      source: WEB_END,
      state: "closed",
    });
  });

  test("what is dropped has its own ends, and a reason", async () => {
    await using node = await start();
    const dropped = {
      kind: FlowKind.dropped,
      verdict: FlowVerdict.dropped,
      dropReason: DropReason.policyDenied,
    };
    expect(node.decorate(flowRecord(dropped))).toMatchObject({
      verdict: "dropped",
      reason: "policy-denied",
      source: WEB_END,
      rule: null,
      state: "",
    });
    const reply = { ...dropped, isReply: 1, direction: TrafficDirection.egress };
    expect(node.decorate(flowRecord(reply))).toMatchObject({ source: WEB_END, state: "" });
  });

  test("a pod that pretends to be another one is named by its interface", async () => {
    await using node = await start();
    const spoofed = flowRecord({
      kind: FlowKind.dropped,
      verdict: FlowVerdict.dropped,
      dropReason: DropReason.sourceSpoofed,
      direction: TrafficDirection.egress,
      source: "10.2.1.9",
      sourceIdentity: CART,
      destination: "192.0.2.7",
      destinationIdentity: node.parts.engine.rows()[0]?.identity ?? 0,
    });
    expect(node.decorate(spoofed)).toMatchObject({
      source: { address: "10.2.1.9", pod: "cart-1", cluster: "east" },
      destination: { address: "192.0.2.7", pod: "", cluster: "", labels: ["cidr:192.0.2.0/24"] },
    });
  });

  test("of ICMP the destination's port is the type that was asked for", async () => {
    await using node = await start();
    const ping = { protocol: 1, icmpType: 8, sourcePort: 0, destinationPort: 0 };
    expect(node.decorate(flowRecord(ping))).toMatchObject({
      protocol: "ICMP",
      source: { port: 0 },
      destination: { address: "10.1.1.12", port: 8 },
    });
    const pong = flowRecord({
      ...ping,
      icmpType: 0,
      kind: FlowKind.closed,
      isReply: 1,
      source: "10.1.1.12",
      destination: "10.2.1.9",
    });
    expect(node.decorate(pong)).toMatchObject({
      source: { address: "10.2.1.9", port: 0 },
      destination: { address: "10.1.1.12", port: 8 },
    });
  });

  test("what no pod has seen has no direction", async () => {
    await using node = await start();
    const record = flowRecord({ direction: 0 as TrafficDirection, ifindex: 99, protocol: 47 });
    expect(node.decorate(record)).toMatchObject({
      direction: "",
      protocol: "47",
      source: WEB_END,
      destination: CART_END,
    });
  });
});

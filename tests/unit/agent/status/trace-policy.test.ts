import { describe, expect, test } from "@jest/globals";
import { openIdentityBook } from "../../../../agent/observe/identity-book.ts";
import { tracePolicy } from "../../../../agent/status/trace-policy.ts";
import type { TraceRequest } from "../../../../mesh/api/policy-messages.ts";
import {
  app,
  CART,
  cartPolicy,
  OWN_RANGE,
  startPolicyNode,
  WEB,
  WEST_WEB,
  type PolicyNodeFake,
} from "../../../fakes/policy-node.ts";

const WEST_POD = { cluster: "west", namespace: "shop", name: "web-9" };
const REQUEST: TraceRequest = {
  namespace: "shop",
  name: "cart-1",
  direction: "ingress",
  peerPod: WEST_POD,
  peerAddress: "",
  protocol: "TCP",
  port: 8_080,
};
const POLICY = "CiliumNetworkPolicy/shop/cart";

function trace(node: PolicyNodeFake, request: Partial<TraceRequest> = {}) {
  const book = openIdentityBook(node.parts);
  const context = { parts: node.parts, ownRange: OWN_RANGE, book };
  return tracePolicy({ ...REQUEST, ...request }, context);
}

async function start(rules: Parameters<typeof cartPolicy>[0]) {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  node.addPod("web-1", WEB, 13);
  node.addAddress("10.2.1.9", { name: "web-9", identity: WEST_WEB, node: "172.16.2.1" });
  node.putPolicy(cartPolicy(rules));
  await node.sync();
  return node;
}

describe("tracePolicy()", () => {
  test("names the rule that allows, by the policies and by the kernel's map", async () => {
    await using node = await start([
      {
        peers: [
          { kind: "entity", entity: "host" },
          { kind: "pods", selector: app("web") },
        ],
        ports: [{ protocol: "TCP", first: 8_000, last: 9_000 }],
      },
    ]);
    const rule = { policy: POLICY, path: "spec.ingress[0]" };
    expect(trace(node)).toEqual({
      node: "east-1",
      cluster: "east",
      identity: CART,
      labels: expect.arrayContaining(["k8s:app=cart"]),
      peerAddress: "10.2.1.9",
      peerIdentity: WEST_WEB,
      peerAggregate: 12,
      peerLabels: expect.arrayContaining(["k8s:io.cilium.k8s.policy.cluster=west"]),
      defaultDeny: true,
      policy: { verdict: "allow", why: "allowed by a rule", rule },
      datapath: { verdict: "allow", why: `allowed by the entry for identity ${WEST_WEB}`, rule },
      rules: [
        {
          rule,
          verdict: "allow",
          decides: true,
          peer: "pods k8s:app=web",
          port: "TCP 8000-9000",
        },
      ],
    });
  });

  test("a deny decides before the allows that speak of the same packet", async () => {
    await using node = await start([
      { peers: undefined, ports: [{ protocol: "TCP", first: 8_080, last: 8_080 }] },
      { verdict: "deny", peers: [{ kind: "pods", selector: app("web") }] },
    ]);
    const { policy, datapath, rules } = trace(node);
    const rule = { policy: POLICY, path: "spec.ingress[1]" };
    expect(policy).toEqual({ verdict: "deny", why: "denied by a rule", rule });
    expect(datapath).toMatchObject({ verdict: "deny", rule });
    expect(rules.map(({ verdict, decides, peer, port }) => [verdict, decides, peer, port])).toEqual(
      [
        ["deny", true, "pods k8s:app=web", ""],
        ["allow", false, "anybody", "TCP 8080"],
      ],
    );
  });

  test("without a rule the direction's default decides", async () => {
    await using node = await start([]);
    expect(trace(node)).toMatchObject({
      defaultDeny: true,
      policy: { verdict: "deny", why: "no rule allows it", rule: null },
      datapath: { verdict: "deny", why: "no entry allows it", rule: null },
      rules: [],
    });
    expect(trace(node, { direction: "egress" })).toMatchObject({
      defaultDeny: false,
      policy: { verdict: "allow", why: "no policy restricts this direction", rule: null },
      datapath: { verdict: "allow", why: "allowed by the entry for anybody", rule: null },
    });
  });

  test("shows where the kernel knows another identity than intent", async () => {
    await using node = await start([]);
    node.putIpcache("10.2.1.9/32", 3, "172.16.2.1");
    const { peerIdentity, datapath } = trace(node, { direction: "egress" });
    expect(peerIdentity).toBe(WEST_WEB);
    expect(datapath?.why).toContain("the ipcache takes 10.2.1.9 for 3");
  });

  test("of a pod without an interface knows no verdict", async () => {
    await using node = await start([]);
    const bound = { namespace: "shop", name: "soon-1", identity: WEB, namedPorts: [] };
    node.intent.own.pods.put("shop/soon-1", bound);
    expect(trace(node, { name: "soon-1" })).toMatchObject({
      identity: WEB,
      policy: { verdict: "" },
      datapath: { verdict: "" },
    });
  });

  test("a named port is told by its name, an ICMP type as such", async () => {
    await using node = await start([
      { ports: [{ protocol: "TCP", name: "http" }] },
      { ports: [{ protocol: "ICMP", type: 8 }] },
    ]);
    const namedPorts = [{ name: "http", port: 8_080, protocol: "TCP" }] as const;
    const pod = { namespace: "shop", name: "cart-1", identity: CART, namedPorts };
    node.intent.own.pods.put("shop/cart-1", pod);
    await node.clock.advance(100);
    expect(trace(node).rules).toMatchObject([{ decides: true, peer: "anybody", port: "TCP http" }]);
    const ping = trace(node, { protocol: "ICMP", port: 8 });
    expect(ping.rules).toMatchObject([{ decides: true, port: "ICMP 8" }]);
    expect(ping.datapath).toMatchObject({ verdict: "allow" });
  });

  test.each([
    ["a protocol", { protocol: "GRE" }],
    ["no protocol", { protocol: "ANY" }],
    ["a direction", { direction: "both" as "ingress" }],
    ["a port", { port: 65_536 }],
    ["a peer", { peerPod: null }],
  ])("refuses %s that cannot be traced", async (_, request) => {
    await using node = await start([]);
    expect(() => trace(node, request)).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });
});

import { describe, expect, test } from "@jest/globals";
import { openIdentityBook } from "../../../../agent/observe/identity-book.ts";
import { createPolicyCosts } from "../../../../agent/status/policy-costs.ts";
import { nodePods } from "../../../../agent/status/node-pods.ts";
import { endpointOf, entriesOf } from "../../../../agent/status/report-endpoints.ts";
import { PolicyEnforcement } from "../../../../bpf/gen/layout.ts";
import {
  app,
  CART,
  cartPolicy,
  startPolicyNode,
  WEB,
  type PolicyNodeFake,
} from "../../../fakes/policy-node.ts";

function pod(node: PolicyNodeFake, name: string) {
  const found = nodePods(node.parts).find((one) => one.name === name);
  if (found === undefined) throw new Error(`No pod ${name}`);
  return found;
}

function endpoint(node: PolicyNodeFake, name: string) {
  const book = openIdentityBook(node.parts);
  const costs = createPolicyCosts(node.parts.engine);
  return endpointOf(pod(node, name), { parts: node.parts, book, costs });
}

describe("endpointOf()", () => {
  test("says who it is, what it costs, and that the kernel holds it", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    node.putPolicy(cartPolicy([{ peers: [{ kind: "pods", selector: app("web") }] }]));
    node.putPolicy(
      cartPolicy([{ peers: [{ kind: "entity", entity: "health" }] }], { name: "probes" }),
    );
    await node.sync();
    expect(endpoint(node, "cart-1")).toEqual({
      namespace: "shop",
      name: "cart-1",
      addresses: ["10.1.1.12"],
      interfaceIndex: 12,
      identity: CART,
      labels: [
        "k8s:app=cart",
        "k8s:io.cilium.k8s.policy.cluster=east",
        "k8s:io.kubernetes.pod.namespace=shop",
      ],
      revision: 1,
      inForce: true,
      ingressDefaultDeny: true,
      egressDefaultDeny: false,
      entryCount: 5,
      entryLimit: 16_384,
      problem: "",
      costs: [
        { policy: "CiliumNetworkPolicy/shop/cart", entries: 2 },
        { policy: "CiliumNetworkPolicy/shop/probes", entries: 1 },
      ],
      entries: [],
    });
  });

  test("before everything is known says that nothing was written", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    await node.clock.settle();
    const { inForce, problem } = endpoint(node, "cart-1");
    expect({ inForce, problem }).toEqual({
      inForce: false,
      problem: expect.stringContaining("known yet"),
    });
  });

  test("says why: no interface, no identity, another row, nothing enforced", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    node.addPod("odd-1", CART + 9, 14);
    node.putPolicy(cartPolicy([]));
    const bound = { namespace: "shop", name: "soon-1", identity: WEB, namedPorts: [] };
    node.intent.own.pods.put("shop/soon-1", bound);
    await node.sync();
    expect(endpoint(node, "soon-1")).toMatchObject({
      interfaceIndex: 0,
      identity: WEB,
      inForce: false,
      problem: "it has no interface yet",
    });
    expect(endpoint(node, "odd-1")).toMatchObject({
      labels: [],
      inForce: false,
      problem: "its identity is not known yet",
    });
    const row = { identity: CART, revision: 9, enforcement: PolicyEnforcement.closed };
    node.maps.policyState.put({ ifindex: 12 }, row);
    expect(endpoint(node, "cart-1")).toMatchObject({
      revision: 9,
      inForce: false,
      problem: expect.stringContaining("the kernel's row"),
    });
    node.target.setMode("off");
    expect(endpoint(node, "cart-1").problem).toBe("policy is not enforced on this node");
  });
});

test("endpointOf() says that all is well without any policy, whoever it is", async () => {
  await using node = startPolicyNode();
  node.addPod("odd-1", CART + 9, 14);
  await node.sync();
  expect(endpoint(node, "odd-1")).toMatchObject({ inForce: true, problem: "", revision: 0 });
  node.putPolicy(cartPolicy([]));
  await node.clock.advance(100);
  expect(endpoint(node, "odd-1")).toMatchObject({
    inForce: false,
    problem: "its identity is not known yet",
  });
});

describe("entriesOf()", () => {
  test("names the prefixes behind the node's own numbers, and the ports of a prefix", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    const ports = [{ protocol: "TCP", first: 8_000, last: 8_063 }] as const;
    const peers = [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }] as const;
    const ping = [{ protocol: "ICMP", type: 8 }] as const;
    node.putPolicy(cartPolicy([{ peers, ports, verdict: "deny" }, { ports: ping }]));
    await node.sync();
    const context = { parts: node.parts, book: openIdentityBook(node.parts) };
    const entries = entriesOf(pod(node, "cart-1"), context).filter(({ rule }) => rule !== null);
    expect(
      entries.map(({ rule, ...entry }) => ({ ...entry, identity: 0, rule: rule?.path })),
    ).toEqual([
      {
        direction: "ingress",
        cidr: "",
        protocol: "ICMP",
        firstPort: 8,
        lastPort: 8,
        verdict: "allow",
        identity: 0,
        rule: "spec.ingress[1]",
      },
      {
        direction: "ingress",
        cidr: "192.0.2.0/24",
        protocol: "TCP",
        firstPort: 8_000,
        lastPort: 8_063,
        verdict: "deny",
        identity: 0,
        rule: "spec.ingress[0]",
      },
    ]);
  });

  test("has none of a pod without an interface", async () => {
    await using node = startPolicyNode();
    const bound = { namespace: "shop", name: "soon-1", identity: WEB, namedPorts: [] };
    node.intent.own.pods.put("shop/soon-1", bound);
    const context = { parts: node.parts, book: openIdentityBook(node.parts) };
    expect(entriesOf(pod(node, "soon-1"), context)).toEqual([]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { openIdentityBook } from "../../../../agent/observe/identity-book.ts";
import { countedIdentities, reportPolicies } from "../../../../agent/status/report-policies.ts";
import { createTurns } from "../../../../agent/status/turns.ts";
import { PolicyEnforcement } from "../../../../bpf/gen/layout.ts";
import {
  app,
  CART,
  cartPolicy,
  OWN_RANGE,
  startPolicyNode,
  WEB,
  type PolicyNodeFake,
} from "../../../fakes/policy-node.ts";

function contextOf({ parts, clock }: PolicyNodeFake) {
  const turns = createTurns(clock, new AbortController().signal);
  return { parts, ownRange: OWN_RANGE, book: openIdentityBook(parts), turns };
}

async function list(node: PolicyNodeFake, namespace = "") {
  return await reportPolicies(namespace, contextOf(node));
}

describe("reportPolicies()", () => {
  test("shows rules as text, whom they mean now, and what they cost on this node", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    node.addPod("cart-2", CART, 13);
    node.addPod("web-1", WEB, 14);
    const refusals = [{ path: "spec.ingress[2]", message: "L7 is not enforced: nobody" }];
    const traffic = [
      {
        peers: [
          { kind: "pods", selector: app("web") },
          { kind: "cidr", cidr: "192.0.2.0/24", except: [] },
        ],
        ports: [{ protocol: "TCP", name: "http" }],
      },
      { verdict: "deny" },
    ] as const;
    node.putPolicy(cartPolicy(traffic, { refusals }));
    await node.sync();
    expect(await list(node)).toEqual([
      {
        kind: "CiliumNetworkPolicy",
        namespace: "shop",
        name: "cart",
        refusals,
        rules: [
          {
            path: "spec",
            subject: "k8s:app=cart",
            ingressDefaultDeny: true,
            egressDefaultDeny: false,
            traffic: [
              {
                path: "spec.ingress[0]",
                direction: "ingress",
                verdict: "allow",
                anyPeer: false,
                peers: [
                  { text: "pods k8s:app=web", identities: 2 },
                  { text: "cidr 192.0.2.0/24", identities: 1 },
                ],
                anyPort: false,
                ports: ["TCP http"],
              },
              {
                path: "spec.ingress[1]",
                direction: "ingress",
                verdict: "deny",
                anyPeer: true,
                peers: [],
                anyPort: true,
                ports: [],
              },
            ],
          },
        ],
        endpoints: ["shop/cart-1", "shop/cart-2"],
        entries: 2,
        inForce: true,
      },
    ]);
  });

  test("filters by namespace, in the order of names", async () => {
    await using node = startPolicyNode();
    node.putPolicy(cartPolicy([], { name: "b" }));
    node.putPolicy(cartPolicy([], { name: "a" }));
    node.putPolicy({ ...cartPolicy([]), kind: "CiliumClusterwideNetworkPolicy", namespace: "" });
    await node.sync();
    const names = async (namespace: string) =>
      (await list(node, namespace)).map(({ kind, name }) => `${kind} ${name}`);
    expect(await names("")).toEqual([
      "CiliumClusterwideNetworkPolicy cart",
      "CiliumNetworkPolicy a",
      "CiliumNetworkPolicy b",
    ]);
    expect(await names("shop")).toEqual(["CiliumNetworkPolicy a", "CiliumNetworkPolicy b"]);
  });

  test("a policy is in force when every pod that it selects has it", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    const isInForce = async () => (await list(node)).map(({ inForce }) => inForce);
    node.putPolicy(cartPolicy([]));
    expect(await isInForce()).toEqual([false]);
    await node.sync();
    expect(await isInForce()).toEqual([true]);
    node.putPolicy(cartPolicy([], { name: "new" }));
    await node.clock.advance(100);
    expect(await isInForce()).toEqual([true, true]);
    const late = { ...node.parts.planner, isReady: () => true, isCurrent: () => false };
    const parts = { ...node.parts, planner: late };
    const reported = await reportPolicies("", { ...contextOf(node), parts });
    expect(reported.map(({ inForce }) => inForce)).toEqual([false, false]);
    const row = { identity: CART, revision: 9, enforcement: PolicyEnforcement.closed };
    node.maps.policyState.put({ ifindex: 12 }, row);
    expect(await isInForce()).toEqual([false, false]);
  });

  test("one that selects no pod here is in force unless nothing is", async () => {
    await using node = startPolicyNode();
    node.putPolicy(cartPolicy([]));
    await node.sync();
    expect(await list(node)).toMatchObject([{ endpoints: [], inForce: true }]);
    node.target.setMode("off");
    expect(await list(node)).toMatchObject([{ endpoints: [], inForce: false }]);
  });
});

describe("countedIdentities()", () => {
  test("are the reserved ones, the node's own numbers, and those of all clusters", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    const peers = [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }] as const;
    node.putPolicy(cartPolicy([{ peers }]));
    await node.sync();
    const found = [...countedIdentities(contextOf(node))];
    expect(found.length).toBe(10 + 1 + 3);
    expect(found[10]).toMatchObject({ prefix: "192.0.2.0/24" });
  });
});

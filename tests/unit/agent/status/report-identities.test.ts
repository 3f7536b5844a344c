import { describe, expect, test } from "@jest/globals";
import { openIdentityBook } from "../../../../agent/observe/identity-book.ts";
import { ANSWER_TEXT_MAX, reportIdentities } from "../../../../agent/status/report-identities.ts";
import { createTurns } from "../../../../agent/status/turns.ts";
import {
  app,
  CART,
  cartPolicy,
  OWN_RANGE,
  startPolicyNode,
  WEST_WEB,
  type PolicyNodeFake,
} from "../../../fakes/policy-node.ts";

async function report(node: PolicyNodeFake, asked: { number?: number; cluster?: string } = {}) {
  const turns = createTurns(node.clock, new AbortController().signal);
  const context = { parts: node.parts, ownRange: OWN_RANGE, book: openIdentityBook(node.parts) };
  return await reportIdentities({ number: 0, cluster: "", ...asked }, { ...context, turns });
}

async function start() {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  node.addAddress("10.2.1.9", { name: "web-9", identity: WEST_WEB, node: "172.16.2.1" });
  node.addAddress("10.2.1.10", { name: "web-8", identity: WEST_WEB, node: "172.16.2.1" });
  node.putIpcache("172.16.2.1/32", 6);
  node.putPolicy(
    cartPolicy([
      { peers: [{ kind: "pods", selector: app("web") }] },
      { peers: [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }] },
      { peers: undefined },
    ]),
  );
  await node.sync();
  return node;
}

describe("reportIdentities()", () => {
  test("has all that the node knows, with the addresses of each", async () => {
    await using node = await start();
    const found = await report(node);
    expect(found.length).toBe(14);
    const one = (label: string) => found.find(({ labels }) => labels.includes(label));
    expect(one("reserved:remote-node")).toMatchObject({ number: 6, cluster: "", addresses: 1 });
    expect(one("cidr:192.0.2.0/24")).toMatchObject({ cluster: "", addresses: 1 });
    expect(one("k8s:io.cilium.k8s.policy.cluster=west")).toMatchObject({
      number: WEST_WEB,
      cluster: "west",
      addresses: 2,
      rules: [],
    });
  });

  test("filters by cluster", async () => {
    await using node = await start();
    expect((await report(node, { cluster: "west" })).map(({ number }) => number)).toEqual([
      WEST_WEB,
    ]);
  });

  test("one by its number has the rules that mean it by their peers", async () => {
    await using node = await start();
    const rule = (i: number) => ({
      policy: "CiliumNetworkPolicy/shop/cart",
      path: `spec.ingress[${i}]`,
    });
    expect(await report(node, { number: WEST_WEB })).toMatchObject([{ rules: [rule(0)] }]);
    expect(await report(node, { number: CART })).toMatchObject([{ rules: [] }]);
    const [row] = node.parts.engine.rows();
    expect(await report(node, { number: row?.identity ?? 0 })).toMatchObject([
      { rules: [rule(1)] },
    ]);
    expect(await report(node, { number: 77 })).toEqual([]);
  });

  test("refuses what would not fit into one answer", async () => {
    await using node = await start();
    const labels = [`k8s:app=${"x".repeat(ANSWER_TEXT_MAX / 4)}`];
    for (let i = 1; i <= 4; i++) {
      node.west.identities.put(`${WEST_WEB + i}`, { number: WEST_WEB + i, labels });
    }
    await expect(report(node)).rejects.toMatchObject({ code: "resource_exhausted" });
    expect((await report(node, { cluster: "east" })).length).toBe(2);
  });
});

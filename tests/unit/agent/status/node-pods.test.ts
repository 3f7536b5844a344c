import { describe, expect, test } from "@jest/globals";
import type { LocalEndpoint } from "../../../../agent/endpoints/local-endpoints.ts";
import { nodePods } from "../../../../agent/status/node-pods.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import { CART, startPolicyNode, WEB } from "../../../fakes/policy-node.ts";

describe("nodePods()", () => {
  test("has pods by name: with an interface, without one, and named by their address", async () => {
    await using node = startPolicyNode();
    const endpoints = createTable<LocalEndpoint>({ name: "endpoints" });
    const put = (key: string, pod: string, address: string): void => {
      const place = { hostInterface: "t", ifindex: 1, addresses: [address] };
      endpoints.put(key, { key, pod, ...place });
    };
    put("b/eth0", "shop/cart-1", "10.1.1.2");
    put("c/eth0", "", "10.1.1.3");
    put("d/eth0", "", "10.1.1.4");
    node.addAddress("10.1.1.3", { name: "old-1", identity: WEB });
    const pods = node.intent.own.pods;
    for (const name of ["cart-1", "soon-1"]) {
      pods.put(`shop/${name}`, { namespace: "shop", name, identity: CART, namedPorts: [] });
    }
    const found = nodePods({ ...node.parts, endpoints });
    expect(
      found.map(({ namespace, name, identity, endpoint }) => [
        `${namespace}/${name}`,
        identity,
        endpoint?.key,
      ]),
    ).toEqual([
      ["/d/eth0", 0, "d/eth0"],
      ["shop/cart-1", CART, "b/eth0"],
      ["shop/old-1", WEB, "c/eth0"],
      ["shop/soon-1", CART, undefined],
    ]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { describePods, type NetworkedPod } from "../../../../mesh/install/networked-pods.ts";

function pod(name: string, more: Omit<NetworkedPod, "metadata"> = {}): NetworkedPod {
  const metadata = { name, namespace: "shop", uid: name, resourceVersion: "1" };
  return { metadata, spec: { nodeName: "node1" }, status: { phase: "Running" }, ...more };
}

describe("pods that lose the network", () => {
  test("are those that a node runs and that are not on the node's own network", () => {
    const pods = [
      pod("cart-1"),
      pod("starting", { status: { phase: "Pending" } }),
      pod("of-the-node", { spec: { nodeName: "node1", hostNetwork: true } }),
      pod("done", { status: { phase: "Succeeded" } }),
      pod("nowhere", { spec: {} }),
    ];
    expect(describePods(pods)).toBe(
      "2 pods lose the network (shop/cart-1, shop/starting); once deleted, they end when another plugin is there",
    );
  });

  test("are named one by one only if they are few", () => {
    expect(describePods([pod("a")])).toMatch(/^1 pod loses .* it ends when/);
    const many = Array.from({ length: 12 }, (_, i) => pod(`cart-${i}`));
    expect(describePods(many)).toMatch(/^12 pods lose the network \(.* and 7 more\);/);
    expect(describePods([])).toBeUndefined();
  });
});

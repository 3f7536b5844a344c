// Services of a simulated mesh, as its agents' datapath holds them.
import type { ServiceFacts } from "../../mesh/operations/questions.ts";

export function fakeService(
  service: string,
  groups: readonly { cluster: string; tier: number; nodes: readonly string[] }[],
): ServiceFacts {
  return {
    service,
    global: groups.length > 1,
    frontends: [
      {
        address: "10.96.0.10",
        port: 80,
        protocol: "TCP",
        groups: groups.map(({ cluster, tier, nodes }) => ({
          cluster,
          tier,
          weight: nodes.length,
          usable: true,
          inUse: tier === 0,
          backends: nodes.map((node, i) => ({ address: `10.0.0.${i}`, port: 80, node, up: true })),
        })),
      },
    ],
  };
}

/** Clients everywhere use west first, then east. */
export const CART = fakeService("shop/cart", [
  { cluster: "west", tier: 0, nodes: ["west-node1", "west-node2"] },
  { cluster: "east", tier: 1, nodes: ["east-node1"] },
]);
/** In east alone: nothing that happens to west concerns it. */
export const LOGS = fakeService("ops/logs", [
  { cluster: "east", tier: 0, nodes: ["east-node1", "east-node2"] },
]);

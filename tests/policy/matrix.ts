// Every packet that the truth table asks about in a world: pods with each other, with nodes and
// with what is outside; every probed port and an echo request; both families.
import type { World, Packet, Party } from "./world.ts";
import { PROBED_PORTS } from "./layout.ts";

export function* matrixOf(world: World): Generator<Packet> {
  for (const { from, to } of pairsOf(world)) {
    for (const family of [4, 6] as const) {
      for (const { protocol, port } of PROBED_PORTS) yield { from, to, family, protocol, port };
      yield family === 4
        ? { from, to, family, protocol: "ICMP", port: 8 }
        : { from, to, family, protocol: "ICMPv6", port: 128 };
    }
  }
}

/** At least one of both is a pod; nobody with itself. */
export function pairsOf({ pods, nodes, outside }: World): { from: Party; to: Party }[] {
  const others: readonly Party[] = [...nodes, ...outside];
  const everybody: readonly Party[] = [...pods, ...others];
  return [
    ...pods.flatMap((from) => everybody.filter((to) => to !== from).map((to) => ({ from, to }))),
    ...others.flatMap((from) => pods.map((to) => ({ from, to }))),
  ];
}

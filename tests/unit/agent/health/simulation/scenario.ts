// A scenario from a seed: some clusters, and up to four faults at random times. One of two hundred
// is long, so that hold-downs reach their longest; as many are of a large mesh. A cluster in five
// has more nodes than are probed, and a mesh in ten more of them than its budget lets it probe at
// once. In one of five most clusters are not in use, and asked less often while all is well.
import type { Family } from "../../../../../agent/health/observation.ts";
import type { Fault, FaultKind, Network, SimulatedCluster } from "./network.ts";

export interface Scenario extends Network {
  readonly durationMs: number;
}

const KINDS: readonly FaultKind[] = [
  "cut",
  "cut",
  "uplink",
  "node",
  "loss",
  "loss",
  "outbound",
  "inbound",
  "slow",
  "pause",
  "refuse",
  "services",
  "gone",
];
/** These may come and go. */
const FLAPPING: ReadonlySet<FaultKind> = new Set([
  "cut",
  "uplink",
  "outbound",
  "inbound",
  "node",
  "gone",
]);

export function createScenario(random: () => number): Scenario {
  const between = (low: number, high: number): number => low + random() * (high - low);
  const whole = (low: number, high: number): number => Math.floor(between(low, high + 1));
  const isLong = random() < 0.005;
  const isLarge = !isLong && random() < 0.005;
  const durationMs = isLong ? between(120_000, 300_000) : between(3_000, 10_000);
  const cluster = (id: number, nodes: number): SimulatedCluster => ({
    id,
    name: `cluster${id}`,
    nodes: Array.from({ length: nodes }, (_, i) => `node${i}`),
    roundTripMs: random() < 0.2 ? between(60, 250) : between(0.3, 40),
  });
  const own = { ...cluster(1, whole(1, 3)), roundTripMs: 0.3 };
  const clusters = Array.from({ length: isLarge ? whole(60, 110) : whole(1, 4) }, (_, i) =>
    cluster(i + 2, random() < 0.2 ? whole(4, 12) : whole(1, 3)),
  );
  const budget =
    !isLarge && random() < 0.1 ? { probesPerSecondMax: between(20, 100) * clusters.length } : {};
  const faults = Array.from({ length: whole(0, 4) }, () => {
    const kind = KINDS[whole(0, KINDS.length - 1)] ?? "cut";
    // By then everybody has been heard.
    const fromMs = between(800, durationMs);
    const lasts = isLong && random() < 0.5 ? durationMs : between(200, durationMs * 0.7);
    const victim = clusters[whole(0, clusters.length - 1)] ?? own;
    const fault = faultOf(kind, { fromMs, toMs: fromMs + lasts, victim });
    // A rack: some nodes of a cluster at the same moment, all those that are probed perhaps.
    const rack = kind === "node" && random() < 0.5 ? victim.nodes.slice(whole(0, 3)) : [];
    return rack.length === 0
      ? [fault]
      : rack.map((node) => ({ ...fault, clusterId: victim.id, node }));
  }).flat();
  const isQuiet = isLarge || random() < 0.2;
  const unused = isQuiet ? clusters.map(({ id }) => id).filter(() => random() < 0.7) : [];
  const quiet = isQuiet ? { unused, probesPerSecondQuiet: between(5, 20) * clusters.length } : {};
  return { own, clusters, faults, durationMs, ...budget, ...quiet };

  function faultOf(
    kind: FaultKind,
    at: { readonly fromMs: number; readonly toMs: number; readonly victim: SimulatedCluster },
  ): Fault {
    const { fromMs, toMs, victim } = at;
    const flaps =
      FLAPPING.has(kind) && random() < 0.3 ? { periodMs: between(200, 5_000) } : undefined;
    const when = { kind, fromMs, toMs, ...flaps };
    const one = { ...when, clusterId: victim.id };
    const family: Family = random() < 0.5 ? 4 : 6;
    switch (kind) {
      case "uplink":
        return when;
      case "pause":
        return { ...when, toMs: fromMs + between(300, 5_000) };
      case "node": {
        const place = random() < 0.2 ? own : victim;
        const node = place.nodes[whole(0, place.nodes.length - 1)] ?? "";
        return { ...when, clusterId: place.id, node };
      }
      case "loss":
        return { ...(random() < 0.5 ? when : one), amount: between(0, 0.3) };
      case "slow":
        return { ...one, amount: between(20, 200) };
      case "cut":
        return random() < 0.2 ? { ...one, family } : one;
      default:
        return one;
    }
  }
}

// What each kind of fault asks of whom, and which pairs of clusters it comes between. Pure.
import type { DaemonFault, PacketFault } from "../operations/questions.ts";
import { CONTROL_PLANE_KINDS, type DrillDefinition } from "./definition.ts";
import type { MeshFacts } from "./facts.ts";
import { nodePlaces } from "./facts.ts";
import type { Place } from "./drill-mesh.ts";

export interface Injection {
  readonly place: Place;
  readonly faults: readonly PacketFault[];
}

export interface Break {
  readonly cluster: string;
  readonly fault: DaemonFault;
}

/** A backend as seen from a cluster. */
export interface Path {
  readonly from: string;
  readonly to: string;
  /** The backend's node. */
  readonly node: string;
}

export interface FaultEffects {
  /** Renewed while the drill lasts. */
  readonly injections: readonly Injection[];
  /** In this order; each ends by itself. */
  readonly breaks: readonly Break[];
  /** Whether packets on this path feel it, or would, if it is a fault of daemons. */
  touches(path: Path): boolean;
  /** Whether the backends that it touches can serve no more. */
  readonly takesAway: boolean;
  /** Whether it is this drill's doing that a cluster calls another down, or itself cut off (""). */
  expects(observer: string, subject: string): boolean;
  /** Whether requests from there say anything about it. */
  isSource(cluster: string, node: string): boolean;
}

const NO_FAULT = { direction: "both", dropPercent: 100, refuse: false, slow: false } as const;

export function planFault(definition: DrillDefinition, facts: MeshFacts): FaultEffects {
  const { fault, scope } = definition;
  const { kind, cluster, peer } = fault;
  const others = facts.clusters.map(({ name }) => name).filter((name) => name !== cluster);
  const peers = peer !== "" ? [peer] : scope.peers.length > 0 ? scope.peers : others;
  const between = (a: string, b: string): boolean =>
    (a === cluster && peers.includes(b)) || (b === cluster && peers.includes(a));
  /** Nobody else is left to it, so it must take itself for cut off. */
  const isAlone = (observer: string): boolean =>
    facts.clusters.every(({ name }) => name === observer || between(observer, name));
  const effects: FaultEffects = {
    injections: [],
    breaks: [],
    touches: ({ from, to }) => between(from, to),
    takesAway: false,
    expects: (observer, subject) =>
      subject === "" ? isAlone(observer) : between(observer, subject),
    isSource: (source) => peers.includes(source),
  };
  const inject = (change: Partial<PacketFault>): readonly Injection[] => {
    const { direction, flowPercent } = scope;
    const faults = peers.map((name) => ({
      ...NO_FAULT,
      ...change,
      direction,
      flowPercent,
      peer: name,
    }));
    return injectAt(facts, { cluster, node: "" }, faults);
  };
  switch (kind) {
    case "cluster-black-hole":
      return { ...effects, injections: inject({}), takesAway: true };
    case "cluster-refuse":
      return { ...effects, injections: inject({ refuse: true }), takesAway: true };
    case "partition":
      return {
        ...effects,
        injections: inject({}),
        takesAway: true,
        isSource: (source) => source === cluster || source === peer,
      };
    case "loss":
      return {
        ...effects,
        injections: inject({ dropPercent: fault.percent }),
        isSource: () => true,
      };
    case "latency":
      return {
        ...effects,
        injections: inject({ dropPercent: 0, slow: true }),
        isSource: () => true,
      };
    case "node-loss": {
      const { direction, flowPercent } = scope;
      const all = { ...NO_FAULT, direction, flowPercent, peer: "" };
      return {
        ...effects,
        injections: injectAt(facts, { cluster, node: fault.node }, [all]),
        takesAway: true,
        touches: ({ to, node }) => to === cluster && node === fault.node,
        expects: (observer, subject) => observer === cluster || subject === cluster,
        isSource: (source, node) => source !== cluster || node !== fault.node,
      };
    }
    case "drain":
      return {
        ...effects,
        touches: ({ to }) => to === cluster,
        takesAway: fault.percent === 100,
        expects: () => false,
        isSource: () => true,
      };
    default: {
      const broken = CONTROL_PLANE_KINDS.has(kind) ? breaksOf(kind, { cluster, peers }) : [];
      return {
        ...effects,
        breaks: broken,
        touches: ({ from, to }) => from === cluster || to === cluster,
        expects: (observer, subject) => observer === cluster || subject === cluster,
        isSource: () => true,
      };
    }
  }
}

/** etcd before the apiserver: who must break the other has to be there to do it. */
function breaksOf(
  kind: DrillDefinition["fault"]["kind"],
  { cluster, peers }: { cluster: string; peers: readonly string[] },
): readonly Break[] {
  const at = (...faults: readonly DaemonFault[]): Break[] =>
    faults.map((fault) => ({ cluster, fault }));
  if (kind === "control-plane-loss") return at("etcd-kill", "apiserver-kill");
  if (kind === "apiserver-kill" || kind === "etcd-kill" || kind === "nats-kill") return at(kind);
  return [cluster, ...peers].map((name) => ({ cluster: name, fault: "sessions-cut" }));
}

function injectAt(
  facts: MeshFacts,
  { cluster, node }: Place,
  faults: readonly PacketFault[],
): readonly Injection[] {
  const found = facts.clusters.find(({ name }) => name === cluster);
  const places = found === undefined ? [] : nodePlaces(found);
  return places
    .filter((place) => node === "" || place.node === node)
    .map((place) => ({ place, faults }));
}

// A mesh to be drilled, simulated in steps of 10 ms of a fake clock: clusters with agents that
// answer questions as the real ones do, canaries, faults with their TTLs, health with a delay, and
// everything that may go wrong.
import type { FakeClock } from "./clock.ts";
import { CART, LOGS } from "./drill-services.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { DrainOrder, DrillMesh, Place } from "../../mesh/drill/drill-mesh.ts";
import { APISERVER } from "../../mesh/drill/drill-mesh.ts";
import type {
  Answers,
  CanaryOrder,
  CanaryRecord,
  KeptFlow,
  PacketFault,
  Question,
  ServiceFacts,
  TimelineEntry,
} from "../../mesh/operations/questions.ts";

export interface FakeDrillMesh extends DrillMesh {
  readonly clusters: readonly string[];
  /** What goes wrong; may be changed while a drill runs. */
  readonly trouble: Trouble;
  /** Places and what was asked of them, in order, without the reading. */
  readonly asked: readonly string[];
  readonly drains: readonly string[];
  /** "CLUSTER/NODE" with a fault now, and "CLUSTER etcd-kill". */
  faults(): readonly string[];
  /** Nodes that send canaries now. */
  canaries(): readonly string[];
  lockHolder(cluster: string): string | undefined;
}

export interface Trouble {
  /** Agents are never told: no failover. */
  blind: boolean;
  /** From now on no question is answered: the coordinator is dead or cut off. */
  cutOff: boolean;
  /** "CLUSTER/NODE" or "CLUSTER/_apiserver" that answer nothing. */
  silent: Set<string>;
  /** Clusters that died by themselves. */
  died: Set<string>;
  /** Services whose requests fail, wherever they go. */
  broken: Set<string>;
  /** Services whose requests are answered twice. */
  doubled: Set<string>;
  /** Kept connections hang where they would be reset. */
  hangs: boolean;
  /** A fault leaves a row behind. */
  leaves: boolean;
  /** A fault of daemons takes traffic away. */
  moves: boolean;
  /** What user checks find. */
  check: string | undefined;
  state: string;
}

interface FakeNode {
  readonly place: Place;
  readonly offsetMs: number;
  faults: readonly PacketFault[];
  faultEndMs: number;
  readonly timeline: TimelineEntry[];
  /** Cluster → since when it is cut off; and whether that is known. */
  readonly cutSinceMs: Map<string, number>;
  readonly down: Set<string>;
  canaries: FakeCanaries | undefined;
}

interface FakeCanaries {
  readonly drill: string;
  endMs: number;
  sending: boolean;
  readonly orders: readonly { order: CanaryOrder; records: CanaryRecord[]; kept: KeptFlow[] }[];
  nextMs: number;
}

const STEP_MS = 10;
export const FAKE_DETECT_MS = 300;
export const FAKE_RECOVER_MS = 1_500;

export function createFakeDrillMesh(
  clock: FakeClock,
  options: {
    readonly services?: readonly ServiceFacts[];
    readonly offsets?: Readonly<Record<string, number>>;
  } = {},
): FakeDrillMesh {
  const clusters = ["east", "west"];
  const services = options.services ?? [CART, LOGS];
  const nodes = clusters.flatMap((cluster) =>
    ["node1", "node2"].map((name): FakeNode => {
      const node = `${cluster}-${name}`;
      return {
        place: { cluster, node },
        offsetMs: options.offsets?.[node] ?? 0,
        faults: [],
        faultEndMs: 0,
        timeline: [],
        cutSinceMs: new Map(),
        down: new Set(),
        canaries: undefined,
      };
    }),
  );
  const locks = new Map<string, { drill: string; holder: string; endMs: number }>();
  const breaks = new Map<string, number>();
  const drains = new Set<string>();
  const asked: string[] = [];
  let lastMs = clock.nowMs();
  let left = 0;
  const trouble: Trouble = {
    blind: false,
    cutOff: false,
    silent: new Set(),
    died: new Set(),
    broken: new Set(),
    doubled: new Set(),
    hangs: false,
    leaves: false,
    moves: false,
    check: undefined,
    state: "",
  };

  const faultyAt = ({ faults, faultEndMs }: FakeNode, ms: number): readonly PacketFault[] =>
    ms < faultEndMs ? faults : [];

  /** The fault that packets between a node and a node of a cluster meet. */
  function faultBetween(node: FakeNode, other: FakeNode, ms: number): PacketFault | undefined {
    const meets = (at: FakeNode, peer: FakeNode): PacketFault | undefined =>
      faultyAt(at, ms).find((f) => f.peer === "" || f.peer === peer.place.cluster);
    return meets(node, other) ?? meets(other, node);
  }

  function isCut(node: FakeNode, cluster: string, ms: number): PacketFault | "died" | undefined {
    if (trouble.died.has(cluster)) return "died";
    const theirs = nodes.filter(({ place }) => place.cluster === cluster);
    const faults = theirs.map((other) => faultBetween(node, other, ms));
    const [first] = faults;
    return faults.every((fault) => fault !== undefined) ? first : undefined;
  }

  function watchHealth(node: FakeNode, ms: number): void {
    for (const cluster of clusters.filter((name) => name !== node.place.cluster)) {
      const cut = isCut(node, cluster, ms);
      const tell = (what: TimelineEntry["what"], text: string): void =>
        void node.timeline.push({ timeMs: ms + node.offsetMs, what, cluster, text });
      if (cut !== undefined && !trouble.blind) {
        const since = node.cutSinceMs.get(cluster) ?? ms;
        node.cutSinceMs.set(cluster, since);
        if (ms - since < FAKE_DETECT_MS || node.down.has(cluster)) continue;
        node.down.add(cluster);
        tell("detected", "no probe was answered for 300 ms");
        tell("decided", "down");
        tell("applied", "one write");
        endKept(node, cluster, ms);
      } else if (node.down.has(cluster)) {
        const since = node.cutSinceMs.get(`-${cluster}`) ?? ms;
        node.cutSinceMs.set(`-${cluster}`, since);
        if (ms - since < FAKE_RECOVER_MS) continue;
        node.down.delete(cluster);
        node.cutSinceMs.clear();
        tell("recovered", "probes are answered");
      } else node.cutSinceMs.delete(cluster);
    }
  }

  function endKept(node: FakeNode, cluster: string, ms: number): void {
    for (const { order, kept } of node.canaries?.orders ?? []) {
      const open = kept.at(-1);
      if (open === undefined || open.endedAtMs >= 0 || open.answer !== cluster) continue;
      const end = trouble.hangs ? "hung" : "reset";
      kept[kept.length - 1] = { ...open, endedAtMs: ms + node.offsetMs, end };
      kept.push(keptFlow(order, node, ms));
    }
  }

  function choose(order: CanaryOrder, node: FakeNode, turn: number): string | undefined {
    const service = services.find((one) => one.service === order.service);
    const groups = (service?.frontends[0]?.groups ?? []).filter(
      ({ cluster, weight }) => weight > 0 && !node.down.has(cluster) && !isDrained(cluster),
    );
    const tier = Math.min(...groups.map((group) => group.tier));
    const best = groups.filter((group) => group.tier === tier);
    return best[turn % best.length]?.cluster;
  }

  const isDrained = (cluster: string): boolean => drains.has(cluster);

  function keptFlow(order: CanaryOrder, node: FakeNode, ms: number): KeptFlow {
    const answer = choose(order, node, 0) ?? "";
    return { openedAtMs: ms + node.offsetMs, answer, endedAtMs: -1, end: "" };
  }

  function request(order: CanaryOrder, node: FakeNode, n: number, ms: number): CanaryRecord {
    const record = { n, sentAtMs: ms + node.offsetMs, ms: 2, answer: "", error: "", duplicates: 0 };
    if (trouble.broken.has(order.service)) return { ...record, error: "ECONNREFUSED" };
    const moved = trouble.moves && breaks.size > 0;
    const cluster = moved ? "west" : choose(order, node, n);
    if (cluster === undefined) return { ...record, error: "ECONNREFUSED" };
    const cut = cluster === node.place.cluster ? undefined : isCut(node, cluster, ms);
    if (cut === undefined) {
      const duplicates = trouble.doubled.has(order.service) ? 1 : 0;
      return { ...record, answer: `${cluster}/pod`, duplicates };
    }
    if (cut !== "died" && cut.refuse) return { ...record, error: "ECONNREFUSED" };
    if (cut !== "died" && cut.dropPercent < 100) return { ...record, answer: `${cluster}/pod` };
    return { ...record, ms: order.timeoutMs, error: "hung" };
  }

  function send(node: FakeNode, ms: number): void {
    const own = node.canaries;
    if (own === undefined || !own.sending || ms >= own.endMs || ms < own.nextMs) return;
    const [first] = own.orders;
    own.nextMs = ms + 1_000 / (first?.order.perSecond ?? 1);
    for (const { order, records, kept } of own.orders) {
      records.push(request(order, node, records.length, ms));
      if (kept.length === 0 && order.keepOne) kept.push(keptFlow(order, node, ms));
    }
  }

  /** Brings the simulation to now. */
  function catchUp(): void {
    for (; lastMs < clock.nowMs(); lastMs += STEP_MS) {
      for (const node of nodes) {
        watchHealth(node, lastMs);
        send(node, lastMs);
      }
    }
    for (const [key, endMs] of breaks) if (endMs <= clock.nowMs()) breaks.delete(key);
  }

  function nodeAnswer(node: FakeNode, question: Question): Answers[Question["ask"]] {
    const { place, offsetMs } = node;
    const others = clusters.filter((name) => name !== place.cluster);
    switch (question.ask) {
      case "hello":
        return { ...place, version: "0.1.0", timeMs: nowMs(offsetMs), nodes: [], peers: others };
      case "services":
        return { services, more: false };
      case "health":
        return {
          clusters: others.map((name) => ({ name, family: 4, state: stateOf(node, name) })),
          isolated: false,
        };
      case "snapshot":
        return {
          digests: { services: "aa", rest: String(left) },
          rows: { services: 2, rest: left },
        };
      case "flows":
        return { established: 3, connecting: 0, reset: 0 };
      case "inject":
        node.faults = question.faults;
        node.faultEndMs = clock.nowMs() + question.ttlMs;
        if (trouble.leaves) left = 1;
        return { done: true };
      case "lift":
        node.faultEndMs = 0;
        return { done: true };
      case "canaries":
        order(node, question);
        return { done: true };
      case "canary-records":
        return {
          orders: (node.canaries?.orders ?? []).map(({ records, kept }, index) => ({
            records: recordsDone(records, question.from[index] ?? 0, clock.nowMs() + offsetMs),
            kept,
          })),
        };
      case "timeline":
        return { entries: node.timeline.filter(({ timeMs }) => timeMs >= question.sinceMs) };
      default:
        throw new MeshError("invalid_argument", `An agent is not asked "${question.ask}"`);
    }
  }

  function stateOf(node: FakeNode, cluster: string): string {
    if (trouble.state !== "") return trouble.state;
    return node.down.has(cluster) ? "down" : "healthy";
  }

  function order(node: FakeNode, question: Question & { readonly ask: "canaries" }): void {
    if (question.orders.length === 0) {
      if (node.canaries !== undefined) node.canaries.sending = false;
      return;
    }
    const own = node.canaries;
    const asked = JSON.stringify(own?.orders.map((one) => one.order));
    if (own?.drill === question.drill && asked === JSON.stringify(question.orders)) {
      own.endMs = clock.nowMs() + question.ttlMs;
      return;
    }
    node.canaries = {
      drill: question.drill,
      endMs: clock.nowMs() + question.ttlMs,
      sending: true,
      orders: question.orders.map((one) => ({ order: one, records: [], kept: [] })),
      nextMs: clock.nowMs(),
    };
  }

  function apiserverAnswer(cluster: string, question: Question): Answers[Question["ask"]] {
    const held = locks.get(cluster);
    const live = held !== undefined && held.endMs > clock.nowMs() ? held : undefined;
    switch (question.ask) {
      case "hello": {
        const own = nodes.filter(({ place }) => place.cluster === cluster);
        const names = own.map(({ place }) => place.node);
        const peers = clusters.filter((name) => name !== cluster);
        const place = { cluster, node: APISERVER };
        return { ...place, version: "0.1.0", timeMs: nowMs(0), nodes: names, peers };
      }
      case "lock": {
        const { drill, holder, ttlMs, renew } = question;
        if (live !== undefined && live.drill !== drill) return { held: false, ...live };
        if (live === undefined && renew) return { held: false, drill: "", holder: "" };
        locks.set(cluster, { drill, holder, endMs: clock.nowMs() + ttlMs });
        return { held: true };
      }
      case "unlock":
        if (question.drill === "" || live?.drill === question.drill) locks.delete(cluster);
        return { done: true };
      case "break":
        breaks.set(`${cluster} ${question.fault}`, clock.nowMs() + question.ttlMs);
        return { done: true };
      case "lift":
        for (const key of breaks.keys()) if (key.startsWith(`${cluster} `)) breaks.delete(key);
        return { done: true };
      default:
        throw new MeshError("invalid_argument", `An apiserver is not asked "${question.ask}"`);
    }
  }

  const nowMs = (offsetMs: number): number => clock.nowMs() + offsetMs;

  function answer(place: Place, question: Question): Answers[Question["ask"]] {
    const name = `${place.cluster}/${place.node}`;
    const killed = breaks.has(`${place.cluster} apiserver-kill`) && place.node === APISERVER;
    if (trouble.cutOff || trouble.silent.has(name) || killed) {
      throw new MeshError("unavailable", `Cannot ask ${name}: no answer`);
    }
    if (place.node === APISERVER) return apiserverAnswer(place.cluster, question);
    const node = nodes.find((one) => one.place.node === place.node);
    if (node === undefined) throw new MeshError("unavailable", `Cannot ask ${name}: no such node`);
    return nodeAnswer(node, question);
  }

  return {
    clusters,
    trouble,
    asked,
    get drains() {
      return [...drains];
    },
    ask: async (place, question) => {
      catchUp();
      if (!READING.has(question.ask)) asked.push(`${place.cluster}/${place.node} ${question.ask}`);
      return Promise.resolve(answer(place, question) as never);
    },
    drain: (wish: DrainOrder) => Promise.resolve(void drains.add(wish.cluster)),
    undrain: (cluster) => Promise.resolve(void drains.delete(cluster)),
    check: () => Promise.resolve(trouble.check),
    faults: () => {
      catchUp();
      const faulty = nodes.filter((node) => faultyAt(node, clock.nowMs()).length > 0);
      return [...faulty.map(({ place }) => `${place.cluster}/${place.node}`), ...breaks.keys()];
    },
    canaries: () =>
      nodes
        .filter(({ canaries }) => canaries?.sending === true && clock.nowMs() < canaries.endMs)
        .map(({ place }) => place.node),
    lockHolder: (cluster) => {
      const held = locks.get(cluster);
      return held !== undefined && held.endMs > clock.nowMs() ? held.drill : undefined;
    },
  };
}

const READING: ReadonlySet<string> = new Set([
  "hello",
  "health",
  "services",
  "timeline",
  "canary-records",
]);

/** As agents do: up to the first that is still under way. */
function recordsDone(
  records: readonly CanaryRecord[],
  from: number,
  nowMs: number,
): CanaryRecord[] {
  const rest = records.slice(from);
  const open = rest.findIndex(({ sentAtMs, ms }) => sentAtMs + ms > nowMs);
  return open < 0 ? rest : rest.slice(0, open);
}

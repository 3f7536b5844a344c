// What a drill must know of a mesh before it touches it, asked of every apiserver and agent: nodes,
// health, services as their datapath holds them, and how far each clock is from ours.
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { HealthAnswer, HelloAnswer, ServiceFacts } from "../operations/questions.ts";
import { APISERVER, type DrillMesh, type Place } from "./drill-mesh.ts";

/** A clock that stands at `nowMs + offsetMs` when ours stands at `nowMs`. */
export interface ClockFacts {
  readonly offsetMs: number;
  /** Half the round trip: the offset may be wrong by so much. */
  readonly uncertaintyMs: number;
}

export interface NodeFacts {
  readonly name: string;
  readonly version: string;
  readonly clock: ClockFacts;
  readonly health: HealthAnswer;
}

export interface ClusterFacts {
  readonly name: string;
  readonly version: string;
  readonly peers: readonly string[];
  /** By name. Those whose agent does not answer are in `silentNodes`. */
  readonly nodes: readonly NodeFacts[];
  readonly silentNodes: readonly string[];
  /** As the first of its nodes sees them. */
  readonly services: readonly ServiceFacts[];
}

export interface MeshFacts {
  readonly clusters: readonly ClusterFacts[];
}

const HELLOS = 3;

export async function gatherFacts(
  mesh: DrillMesh,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<MeshFacts> {
  const clusters = await Promise.all(
    mesh.clusters.map((cluster) => clusterFacts(mesh, cluster, { clock, signal })),
  );
  return { clusters };
}

export function nodePlaces(cluster: ClusterFacts): readonly Place[] {
  return cluster.nodes.map(({ name }) => ({ cluster: cluster.name, node: name }));
}

async function clusterFacts(
  mesh: DrillMesh,
  name: string,
  time: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ClusterFacts> {
  const { hello } = await greet(mesh, { cluster: name, node: APISERVER }, time);
  const names = [...hello.nodes].sort();
  const answers = await Promise.all(
    names.map((node) => nodeFacts(mesh, { cluster: name, node }, time)),
  );
  const nodes = answers.filter((node) => node !== undefined);
  const [first] = nodes;
  if (first === undefined) {
    throw new MeshError("unavailable", `Cannot drill with cluster "${name}": no agent answers`, {
      hint: "`mesh status` and `mesh node status` tell more",
    });
  }
  const known = new Set(nodes.map((node) => node.name));
  return {
    name,
    version: hello.version,
    peers: hello.peers,
    nodes,
    silentNodes: names.filter((node) => !known.has(node)),
    services: await readServices(mesh, { cluster: name, node: first.name }, time.signal),
  };
}

/** Undefined for a node whose agent does not answer. */
async function nodeFacts(
  mesh: DrillMesh,
  place: Place,
  time: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<NodeFacts | undefined> {
  try {
    const { hello, clock } = await greet(mesh, place, time);
    const health = await mesh.ask(place, { ask: "health" }, time.signal);
    return { name: place.node, version: hello.version, clock, health };
  } catch (error) {
    if (isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded")) {
      return undefined;
    }
    throw error;
  }
}

/** The shortest of a few round trips says most about the clock. */
async function greet(
  mesh: DrillMesh,
  place: Place,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<{ hello: HelloAnswer; clock: ClockFacts }> {
  let best: { hello: HelloAnswer; clock: ClockFacts } | undefined;
  for (let turn = 0; turn < HELLOS; turn++) {
    const [wallMs, beforeMs] = [clock.nowMs(), clock.monotonicMs()];
    const hello = await mesh.ask(place, { ask: "hello" }, signal);
    const half = (clock.monotonicMs() - beforeMs) / 2;
    const facts = { offsetMs: hello.timeMs - (wallMs + half), uncertaintyMs: half };
    if (best === undefined || half < best.clock.uncertaintyMs) best = { hello, clock: facts };
  }
  if (best === undefined) throw new Error("Unreachable: a loop of three turns had none");
  return best;
}

/** All services of a cluster, as one of its nodes sees them. */
export async function readServices(
  mesh: Pick<DrillMesh, "ask">,
  place: Place,
  signal: AbortSignal,
): Promise<readonly ServiceFacts[]> {
  const services: ServiceFacts[] = [];
  for (;;) {
    const after = services.at(-1)?.service ?? "";
    const page = await mesh.ask(place, { ask: "services", after }, signal);
    services.push(...page.services);
    if (!page.more || page.services.length === 0) return services;
  }
}

// From what a drill asks for and what the mesh is to what exactly would be touched: services,
// backends, nodes, what is left of each service, and where canaries go. Pure: `mesh drill plan`
// prints it, `mesh drill run` does it.
import { MeshError } from "../core/errors.ts";
import { predictServing, type Serving, type ServingGroup } from "../core/failover.ts";
import type { CanaryOrder, GroupFacts, ServiceFacts } from "../operations/questions.ts";
import type { DrillDefinition } from "./definition.ts";
import type { Place } from "./drill-mesh.ts";
import type { ClusterFacts, MeshFacts } from "./facts.ts";
import { planFault, type FaultEffects } from "./faults.ts";
import { createRandom } from "./random.ts";
import type { Objectives } from "./report.ts";

/** One service as the clients of one cluster have it. */
export interface SourcePlan {
  readonly cluster: string;
  readonly backends: number;
  /** Backends that the fault touches. */
  readonly touched: number;
  readonly before: Serving;
  readonly after: Serving;
}

export interface ServicePlan {
  readonly service: string;
  readonly inScope: boolean;
  readonly objectives: Objectives;
  readonly sources: readonly SourcePlan[];
}

export interface CanaryPlan {
  readonly place: Place;
  readonly orders: readonly CanaryOrder[];
}

export interface DrillPlan {
  readonly effects: FaultEffects;
  /** Those that are judged, then those that must not feel anything. */
  readonly services: readonly ServicePlan[];
  /** Touched by the fault and not judged: not named in the scope, or too many to measure. */
  readonly notJudged: readonly string[];
  readonly canaries: readonly CanaryPlan[];
  /** A sentence each; not empty: CAPACITY_CHECK_FAILED. */
  readonly capacity: readonly string[];
  /** What is left out and why; a sentence each. */
  readonly notes: readonly string[];
}

/** Canaries for more would be a load test. */
const MEASURED_MAX = 10;
const CONTROLS_MAX = 3;
const NODES_A_CLUSTER = 3;

/** Throws `not_found` or `invalid_argument` for names that the mesh has not. */
export function planDrill(definition: DrillDefinition, facts: MeshFacts, seed: number): DrillPlan {
  checkNames(definition, facts);
  const effects = planFault(definition, facts);
  const context = { definition, facts, effects };
  const all = servicesOf(facts).map((service) => planService(service, context));
  const touched = all.filter(({ inScope }) => inScope);
  const named = definition.scope.services;
  const unknown = named.filter((name) => !touched.some(({ service }) => service === name));
  if (unknown.length > 0) {
    const names = touched.map(({ service }) => service);
    throw new MeshError(
      "not_found",
      `Cannot judge ${unknown.join(", ")}: the fault touches none of their backends`,
      { hint: `touched are: ${sample(names, 10)}` },
    );
  }
  const random = createRandom(seed);
  const judged =
    named.length > 0
      ? touched.filter(({ service }) => named.includes(service))
      : choose(touched, MEASURED_MAX, random);
  const controls = choose(
    all.filter(({ inScope, sources }) => !inScope && sources.some(isServed)),
    CONTROLS_MAX,
    random,
  );
  const services = [...judged, ...controls];
  const notes: string[] = [];
  const canaries = planCanaries(services, { ...context, random, notes });
  return {
    effects,
    services,
    notJudged: touched.filter((one) => !judged.includes(one)).map(({ service }) => service),
    canaries,
    capacity: effects.takesAway ? touched.flatMap(capacityProblems) : [],
    notes: [...notes, ...silentNotes(facts)],
  };
}

function checkNames({ fault, scope }: DrillDefinition, facts: MeshFacts): void {
  const known = facts.clusters.map(({ name }) => name);
  for (const name of [fault.cluster, fault.peer, ...scope.peers]) {
    if (name === "" || known.includes(name)) continue;
    throw new MeshError("not_found", `Cannot drill with cluster "${name}": no context reaches it`, {
      hint: `there are: ${known.join(", ")}`,
    });
  }
  const nodes = facts.clusters.find(({ name }) => name === fault.cluster)?.nodes ?? [];
  if (fault.node !== "" && !nodes.some(({ name }) => name === fault.node)) {
    throw new MeshError(
      "not_found",
      `Cannot lose node "${fault.node}": no agent of "${fault.cluster}" answers by that name`,
      { hint: `there are: ${nodes.map(({ name }) => name).join(", ")}` },
    );
  }
}

/** Names in every cluster that has clients of them. */
function servicesOf(facts: MeshFacts): string[] {
  return [
    ...new Set(facts.clusters.flatMap(({ services }) => services.map(({ service }) => service))),
  ].sort();
}

interface PlanContext {
  readonly definition: DrillDefinition;
  readonly facts: MeshFacts;
  readonly effects: FaultEffects;
}

function planService(service: string, context: PlanContext): ServicePlan {
  const { definition, facts, effects } = context;
  const sources = facts.clusters.flatMap((cluster): SourcePlan[] => {
    const found = cluster.services.find((one) => one.service === service);
    const isSource = cluster.nodes.some(({ name }) => effects.isSource(cluster.name, name));
    return found === undefined || !isSource ? [] : [planSource(found, cluster.name, context)];
  });
  const drained = definition.fault.kind === "drain" ? definition.scope.services : [];
  const inScope =
    sources.some(({ touched }) => touched > 0) &&
    (drained.length === 0 || drained.includes(service));
  const { objectives } = definition;
  const own = objectives.services[service] ?? objectives.default;
  return {
    service,
    inScope,
    objectives: inScope ? own : { maxLostRequests: 0, maxHungFlows: 0 },
    sources,
  };
}

/** The frontend that would lose most stands for the service. */
function planSource(service: ServiceFacts, from: string, { effects }: PlanContext): SourcePlan {
  const plans = service.frontends.map(({ groups }): SourcePlan => {
    const isTouched = (group: GroupFacts, node: string): boolean =>
      effects.touches({ from, to: group.cluster, node });
    const count = (group: GroupFacts, { lost }: { lost: boolean }): number =>
      group.backends.filter(({ up, node }) => up && !(lost && isTouched(group, node))).length;
    const serving = ({ lost }: { lost: boolean }): Serving => {
      const { minHealthy } = service;
      const mostBackends = Math.max(0, ...groups.map(({ backends }) => backends.length));
      const left = groups.map((group): ServingGroup => ({
        ...group,
        backends: count(group, { lost }),
      }));
      return predictServing(left, { minHealthy, mostBackends });
    };
    const all = groups.flatMap((group) => group.backends.map(({ node }) => isTouched(group, node)));
    return {
      cluster: from,
      backends: all.length,
      touched: all.filter(Boolean).length,
      before: serving({ lost: false }),
      after: serving({ lost: effects.takesAway }),
    };
  });
  const empty = { cluster: from, backends: 0, touched: 0 };
  const nobody = predictServing([]);
  return (
    plans.sort((a, b) => b.touched - a.touched)[0] ?? { ...empty, before: nobody, after: nobody }
  );
}

function capacityProblems({ service, sources }: ServicePlan): string[] {
  return sources
    .filter(({ touched, before, after }) => touched > 0 && before.enough && !after.enough)
    .map(({ cluster, after }) =>
      after.backends === 0
        ? `${service}: nobody would be left to serve the clients in ${cluster}`
        : `${service}: the clients in ${cluster} would be left with ${after.backends} backends, ` +
          `none of whose clusters has the ${after.required} that min-healthy asks for`,
    );
}

function planCanaries(
  services: readonly ServicePlan[],
  context: PlanContext & { readonly random: () => number; readonly notes: string[] },
): CanaryPlan[] {
  const { facts, effects, notes } = context;
  const plans = facts.clusters.flatMap((cluster) => {
    const orders = services
      .filter(({ sources }) => sources.some((one) => one.cluster === cluster.name && isServed(one)))
      .flatMap((service) => ordersFor(service, cluster, context));
    const nodes = cluster.nodes.filter(({ name }) => effects.isSource(cluster.name, name));
    return choose(nodes, NODES_A_CLUSTER, context.random)
      .filter(() => orders.length > 0)
      .map(({ name }): CanaryPlan => ({ place: { cluster: cluster.name, node: name }, orders }));
  });
  const measured = new Set(plans.flatMap(({ orders }) => orders.map(({ service }) => service)));
  for (const { service } of services) {
    if (!measured.has(service)) notes.push(`${service}: it has no port that a canary can ask`);
  }
  return plans;
}

/**
 * One of each address family. A service that must not be touched may speak anything, so no more is
 * wanted of it than a connection.
 */
function ordersFor(
  { service, inScope }: ServicePlan,
  cluster: ClusterFacts,
  { definition }: PlanContext,
): CanaryOrder[] {
  const { perSecond, timeoutMs, keepOne } = definition.canaries;
  const protocol = inScope ? definition.canaries.protocol : "connect";
  const facts = cluster.services.find((one) => one.service === service);
  const askable = (facts?.frontends ?? []).filter(
    (frontend) => frontend.protocol === "TCP" || protocol === "echo",
  );
  return [4, 6].flatMap((family): CanaryOrder[] => {
    const isOf = (address: string): boolean => address.includes(":") === (family === 6);
    const frontend = askable.find(({ address, groups }) => isOf(address) && groups.length > 0);
    if (frontend === undefined) return [];
    const { address, port } = frontend;
    const host = family === 6 ? `[${address}]` : address;
    const target = `${frontend.protocol.toLowerCase()}:${host}:${port}`;
    return [{ service, target, protocol, perSecond, timeoutMs, keepOne }];
  });
}

function isServed({ before }: SourcePlan): boolean {
  return before.backends > 0;
}

function silentNotes(facts: MeshFacts): string[] {
  return facts.clusters.flatMap(({ name, silentNodes }) =>
    silentNodes.map((node) => `${name}/${node} is left out: its agent does not answer`),
  );
}

/** So many of them, by chance, in their order. */
function choose<T>(all: readonly T[], count: number, random: () => number): T[] {
  const ranked = all.map((item, index) => ({ item, index, rank: random() }));
  const taken = ranked.sort((a, b) => a.rank - b.rank).slice(0, count);
  return taken.sort((a, b) => a.index - b.index).map(({ item }) => item);
}

function sample(names: readonly string[], count: number): string {
  if (names.length === 0) return "none";
  const more = names.length > count ? ` and ${names.length - count} more` : "";
  return names.slice(0, count).join(", ") + more;
}

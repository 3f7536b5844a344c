// What ought to be drilled: services that one failure takes away, and failover that was configured
// and never seen at work. "Untested failover is not failover." Pure.
import { predictServing } from "../core/failover.ts";
import type { ServiceFacts } from "../operations/questions.ts";
import type { MeshFacts } from "./facts.ts";
import type { DrillReport } from "./report.ts";
import { startOf } from "./store.ts";

/** From the clients of one cluster, away from another that serves them now. */
export interface FailoverEdge {
  readonly service: string;
  readonly client: string;
  /** The cluster that may fail. */
  readonly from: string;
  /** Those that take over. */
  readonly to: readonly string[];
}

export interface Suggestion {
  readonly kind: "single-point-of-failure" | "never-drilled" | "stale";
  /** The cluster or "CLUSTER/NODE" whose loss is meant. */
  readonly subject: string;
  readonly services: readonly string[];
  readonly text: string;
  /** The words that run the drill; "" where a drill would only prove the loss. */
  readonly command: string;
}

export interface Coverage {
  readonly configured: number;
  /** Exercised by a drill that passed or failed, ever. */
  readonly tested: number;
  /** Exercised within the last so many days. */
  readonly fresh: number;
}

/** Faults that make clients fail over from a cluster. */
const FAILOVER_KINDS: ReadonlySet<string> = new Set([
  "cluster-black-hole",
  "cluster-refuse",
  "partition",
  "drain",
]);

const DAY_MS = 24 * 3_600_000;

export function suggestDrills(
  facts: MeshFacts,
  reports: readonly DrillReport[],
  options: { readonly nowMs: number; readonly staleDays: number },
): { readonly suggestions: readonly Suggestion[]; readonly coverage: Coverage } {
  const edges = failoverEdges(facts);
  const last = lastDrills(reports);
  const freshFromMs = options.nowMs - options.staleDays * DAY_MS;
  const testedAt = (edge: FailoverEdge): number => last.get(edgeKey(edge.service, edge.from)) ?? 0;
  const never = edges.filter((edge) => testedAt(edge) === 0);
  const stale = edges.filter((edge) => testedAt(edge) > 0 && testedAt(edge) < freshFromMs);
  return {
    suggestions: [
      ...singlePoints(facts),
      ...grouped(
        never,
        "never-drilled",
        (count, from) => `${count} would fail over from ${from}, and that was never drilled`,
      ),
      ...grouped(
        stale,
        "stale",
        (count, from) =>
          `${count} would fail over from ${from}, last drilled over ${options.staleDays} days ago`,
      ),
    ],
    coverage: {
      configured: edges.length,
      tested: edges.length - never.length,
      fresh: edges.length - never.length - stale.length,
    },
  };
}

/** Where traffic goes now and would go elsewhere if that cluster failed. */
export function failoverEdges(facts: MeshFacts): readonly FailoverEdge[] {
  return facts.clusters.flatMap(({ name: client, services }) =>
    services.flatMap((service) =>
      clustersOf(service).flatMap((from): FailoverEdge[] => {
        const to = servedWithout(service, (cluster) => cluster === from);
        const now = servedWithout(service, () => false);
        // Clients in the cluster that fails are gone with it.
        if (from === client || !now.includes(from) || to.length === 0) return [];
        return [{ service: service.service, client, from, to }];
      }),
    ),
  );
}

function singlePoints(facts: MeshFacts): Suggestion[] {
  const lost = new Map<string, Set<string>>();
  for (const { name: client, services } of facts.clusters) {
    for (const service of services.filter(({ global }) => global)) {
      const now = servedWithout(service, () => false);
      for (const cluster of now) {
        if (cluster === client && clustersOf(service).length === 1) continue;
        if (servedWithout(service, (name) => name === cluster).length > 0) continue;
        const names = lost.get(cluster) ?? new Set<string>();
        lost.set(cluster, names.add(service.service));
      }
    }
    for (const service of services) {
      for (const node of soleNodes(service)) {
        const names = lost.get(node) ?? new Set<string>();
        lost.set(node, names.add(service.service));
      }
    }
  }
  return [...lost].sort(byFirst).map(([subject, names]): Suggestion => {
    const services = [...names].sort();
    const what = subject.includes("/") ? "node" : "cluster";
    const text = `${countOf(services)} has backends nowhere but in ${what} ${subject}`;
    return { kind: "single-point-of-failure", subject, services, text, command: "" };
  });
}

/** "CLUSTER/NODE" if all of a service's backends, more than one, live on that node. */
function soleNodes(service: ServiceFacts): string[] {
  return service.frontends.slice(0, 1).flatMap(({ groups }) => {
    const all = groups.flatMap(({ cluster, backends }) =>
      backends.map(({ node }) => (node === "" ? "" : `${cluster}/${node}`)),
    );
    const nodes = new Set(all);
    const [only = ""] = nodes;
    return all.length > 1 && nodes.size === 1 && only !== "" ? [only] : [];
  });
}

function grouped(
  edges: readonly FailoverEdge[],
  kind: Suggestion["kind"],
  text: (count: string, from: string) => string,
): Suggestion[] {
  const byCluster = Map.groupBy(edges, ({ from }) => from);
  return [...byCluster].sort(byFirst).map(([subject, own]) => {
    const services = [...new Set(own.map(({ service }) => service))].sort();
    const command = `mesh drill run --fault cluster-black-hole --cluster ${subject}`;
    return { kind, subject, services, text: text(countOf(services), subject), command };
  });
}

function clustersOf({ frontends }: ServiceFacts): string[] {
  return [...new Set(frontends.flatMap(({ groups }) => groups.map(({ cluster }) => cluster)))];
}

/** Who answers new connections when some clusters are gone, by the first frontend. */
function servedWithout(service: ServiceFacts, isLost: (cluster: string) => boolean): string[] {
  const groups = service.frontends[0]?.groups ?? [];
  const left = groups.map((group) => ({
    ...group,
    backends: isLost(group.cluster) ? 0 : group.backends.filter(({ up }) => up).length,
  }));
  return [...predictServing(left, { minHealthy: service.minHealthy }).shares.keys()];
}

/** When a service was last seen failing over from a cluster. */
function lastDrills(reports: readonly DrillReport[]): ReadonlyMap<string, number> {
  const last = new Map<string, number>();
  for (const report of reports) {
    if (!FAILOVER_KINDS.has(report.fault.kind)) continue;
    for (const { services, verdict } of report.runs) {
      if (verdict !== "PASS" && verdict !== "FAIL") continue;
      for (const { service, inScope } of services) {
        const key = edgeKey(service, report.fault.cluster);
        if (inScope) last.set(key, Math.max(last.get(key) ?? 0, startOf(report)));
      }
    }
  }
  return last;
}

function edgeKey(service: string, from: string): string {
  return `${service} ${from}`;
}

function countOf(services: readonly string[]): string {
  const [first = ""] = services;
  return services.length === 1 ? first : `${services.length} services (${first}, …)`;
}

function byFirst(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  if (a[0] === b[0]) return 0;
  return a[0] < b[0] ? -1 : 1;
}

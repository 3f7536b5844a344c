// What ought to be drilled: services that one failure takes away, and failover that was configured
// and never seen at work. "Untested failover is not failover." Pure.
import type { ServiceFacts } from "../operations/questions.ts";
import {
  clustersOf,
  coverEdges,
  DrilledFailovers,
  failoverEdges,
  servedWithout,
  type Coverage,
  type FailoverEdge,
  type Freshness,
} from "./coverage.ts";
import type { MeshFacts } from "./facts.ts";
import type { DrillReport } from "./report.ts";

export interface Suggestion {
  readonly kind: "single-point-of-failure" | "never-drilled" | "stale";
  /** The cluster or "CLUSTER/NODE" whose loss is meant. */
  readonly subject: string;
  readonly services: readonly string[];
  readonly text: string;
  /** The words that run the drill; "" where a drill would only prove the loss. */
  readonly command: string;
}

export function suggestDrills(
  facts: MeshFacts,
  reports: readonly DrillReport[],
  freshness: Freshness,
): { readonly suggestions: readonly Suggestion[]; readonly coverage: Coverage } {
  const drilled = DrilledFailovers.from(reports);
  const edges = failoverEdges(facts.clusters);
  const { never, stale, coverage } = coverEdges(edges, (edge) => drilled.lastMs(edge), freshness);
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
          `${count} would fail over from ${from}, last drilled over ${freshness.staleDays} days ago`,
      ),
    ],
    coverage,
  };
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

function countOf(services: readonly string[]): string {
  const [first = ""] = services;
  return services.length === 1 ? first : `${services.length} services (${first}, …)`;
}

function byFirst(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  if (a[0] === b[0]) return 0;
  return a[0] < b[0] ? -1 : 1;
}

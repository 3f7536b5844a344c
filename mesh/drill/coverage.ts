// Which failover is configured, and when it was last seen at work. A failover is an edge: clients
// of one cluster, a service, and the cluster that they would fail over from. Pure; `mesh drill
// suggest` and `mesh status` count by it.
import { predictServing } from "../core/failover.ts";
import type { ServiceFacts } from "../operations/questions.ts";
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

/** The services of a cluster, as its own clients reach them. */
export interface ClientServices {
  readonly name: string;
  readonly services: readonly ServiceFacts[];
}

export interface Coverage {
  readonly configured: number;
  /** Exercised by a drill that passed or failed, ever. */
  readonly tested: number;
  /** Exercised within the last so many days. */
  readonly fresh: number;
}

export interface Freshness {
  readonly nowMs: number;
  /** A drill that is older counts no more. */
  readonly staleDays: number;
}

export const STALE_DAYS = 30;

/** Faults that make clients fail over from a cluster. */
const FAILOVER_KINDS: ReadonlySet<string> = new Set([
  "cluster-black-hole",
  "cluster-refuse",
  "partition",
  "drain",
]);

/** Who tells of drills without end fills no memory. */
const FAILOVERS_MAX = 500_000;

const DAY_MS = 24 * 3_600_000;

/** Where traffic goes now and would go elsewhere if that cluster failed. */
export function failoverEdges(clusters: readonly ClientServices[]): readonly FailoverEdge[] {
  return clusters.flatMap(({ name: client, services }) =>
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

/** The edges that ought to be drilled, and how many there are; `lastMs` is 0 for never. */
export function coverEdges<Edge>(
  edges: readonly Edge[],
  lastMs: (edge: Edge) => number,
  { nowMs, staleDays }: Freshness,
): {
  readonly never: readonly Edge[];
  readonly stale: readonly Edge[];
  readonly coverage: Coverage;
} {
  const freshFromMs = nowMs - staleDays * DAY_MS;
  const never = edges.filter((edge) => lastMs(edge) === 0);
  const stale = edges.filter((edge) => lastMs(edge) > 0 && lastMs(edge) < freshFromMs);
  const coverage = {
    configured: edges.length,
    tested: edges.length - never.length,
    fresh: edges.length - never.length - stale.length,
  };
  return { never, stale, coverage };
}

/** When services were last seen failing over from a cluster. */
export class DrilledFailovers {
  readonly #last = new Map<string, number>();

  static from(reports: readonly DrillReport[]): DrilledFailovers {
    const drilled = new DrilledFailovers();
    for (const report of reports) drilled.add(report);
    return drilled;
  }

  /** `atLatestMs`: when it was told, whatever time it names itself. */
  add(report: DrillReport, atLatestMs = Infinity): void {
    if (!FAILOVER_KINDS.has(report.fault.kind)) return;
    const startedMs = Math.min(startOf(report), atLatestMs);
    for (const { services, verdict } of report.runs) {
      if (verdict !== "PASS" && verdict !== "FAIL") continue;
      for (const { service, inScope } of services) {
        if (!inScope) continue;
        const key = edgeKey(service, report.fault.cluster);
        const known = this.#last.get(key);
        if (known === undefined && this.#last.size >= FAILOVERS_MAX) continue;
        this.#last.set(key, Math.max(known ?? 0, startedMs));
      }
    }
  }

  /** Milliseconds since 1970; 0 for never. */
  lastMs({ service, from }: Pick<FailoverEdge, "service" | "from">): number {
    return this.#last.get(edgeKey(service, from)) ?? 0;
  }
}

export function clustersOf({ frontends }: ServiceFacts): string[] {
  return [...new Set(frontends.flatMap(({ groups }) => groups.map(({ cluster }) => cluster)))];
}

/** Who answers new connections when some clusters are gone, by the first frontend. */
export function servedWithout(
  service: ServiceFacts,
  isLost: (cluster: string) => boolean,
): string[] {
  const groups = service.frontends[0]?.groups ?? [];
  const left = groups.map((group) => ({
    ...group,
    backends: isLost(group.cluster) ? 0 : group.backends.filter(({ up }) => up).length,
  }));
  return [...predictServing(left, { minHealthy: service.minHealthy }).shares.keys()];
}

function edgeKey(service: string, from: string): string {
  return `${service} ${from}`;
}

// The apiserver's Prometheus metrics: computed from the status when they are asked for, so that
// no code path has to remember to count. docs: apiserver/README.md lists them.
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { ApiserverStatus } from "./api/status.ts";

const PREFIX = "tombolo_apiserver_";

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: (status: ApiserverStatus) => readonly Sample[];
}

const PEER_STATES = ["connecting", "syncing", "ready", "stale", "refused", "removing"] as const;

const METRICS: readonly Metric[] = [
  {
    name: "ready",
    help: "1 if the cluster's own state is whole in etcd",
    labels: [],
    samples: ({ ready }) => [{ value: Number(ready) }],
  },
  {
    name: "etcd_restarts_total",
    help: "How often the embedded etcd has ended and was started again",
    labels: [],
    samples: ({ etcd }) => [{ value: etcd.restarts }],
  },
  {
    name: "source_objects",
    help: "Objects in force, by kind",
    labels: ["kind"],
    samples: ({ source }) =>
      Object.entries(source.objects).map(([kind, value]) => ({ labels: { kind }, value })),
  },
  {
    name: "source_problems",
    help: "Problems in the manifests or the objects of Kubernetes, by severity",
    labels: ["severity"],
    samples: ({ source }) =>
      (["error", "warning"] as const).map((severity) => ({
        labels: { severity },
        value: source.problems.filter((problem) => problem.severity === severity).length,
      })),
  },
  {
    name: "identities",
    help: "Identity numbers, by state",
    labels: ["state"],
    samples: ({ identities }) => [
      { labels: { state: "in_use" }, value: identities.inUse },
      { labels: { state: "retired" }, value: identities.retired },
      { labels: { state: "capacity" }, value: identities.capacity },
    ],
  },
  {
    name: "export_rows",
    help: "Rows that are to be in etcd, by kind and state",
    labels: ["kind", "state"],
    samples: ({ exports }) =>
      exports.flatMap(({ kind, desired, applied, failedTotal }) => [
        { labels: { kind, state: "desired" }, value: desired },
        { labels: { kind, state: "applied" }, value: applied },
        { labels: { kind, state: "failed" }, value: failedTotal },
      ]),
  },
  {
    name: "peer_state",
    help: "1 for the state that the peer is in",
    labels: ["peer", "state"],
    samples: ({ peers }) =>
      peers.flatMap((peer) =>
        PEER_STATES.map((state) => ({
          labels: { peer: peer.name, state },
          value: Number(peer.state === state),
        })),
      ),
  },
  {
    name: "peer_synced",
    help: "1 if the peer's whole state has been mirrored since the start",
    labels: ["peer"],
    samples: ({ peers }) =>
      peers.map(({ name, synced }) => ({ labels: { peer: name }, value: Number(synced) })),
  },
  {
    name: "peer_heartbeat_age_seconds",
    help: "Time since the peer's last heartbeat; absent before the first",
    labels: ["peer"],
    samples: ({ peers }) =>
      peers
        .filter(({ heartbeatAgeSeconds }) => heartbeatAgeSeconds >= 0)
        .map(({ name, heartbeatAgeSeconds }) => ({
          labels: { peer: name },
          value: heartbeatAgeSeconds,
        })),
  },
  {
    name: "peer_reconnections_total",
    help: "How often the connection to the peer was made again",
    labels: ["peer"],
    samples: ({ peers }) =>
      peers.map(({ name, reconnections }) => ({ labels: { peer: name }, value: reconnections })),
  },
  peerKindMetric("peer_records", "Valid records read from the peer", (kind) => kind.records),
  peerKindMetric("peer_mirrored", "Records of the peer in our cache", (kind) => kind.mirrored),
  peerKindMetric("peer_rejected_total", "Records that were not valid", (kind) => kind.rejected),
  peerKindMetric(
    "peer_claims_refused_total",
    "Records that spoke for addresses of others",
    (kind) => kind.claimsRefused,
  ),
  peerKindMetric(
    "peer_write_failures",
    "Rows that could not be written to our cache",
    (kind) => kind.writeFailures,
  ),
];

export interface MetricsPage {
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export function createMetricsPage(status: () => ApiserverStatus): MetricsPage {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  const gauges = METRICS.map((metric) => ({
    metric,
    gauge: new Gauge({
      name: PREFIX + metric.name,
      help: metric.help,
      labelNames: [...metric.labels],
      registers: [registry],
    }),
  }));
  return {
    async render() {
      const now = status();
      for (const { metric, gauge } of gauges) {
        // A peer or kind that is gone must not leave its last value behind.
        gauge.reset();
        for (const { labels = {}, value } of metric.samples(now)) gauge.set(labels, value);
      }
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function peerKindMetric(
  name: string,
  help: string,
  valueOf: (kind: ApiserverStatus["peers"][number]["kinds"][number]) => number,
): Metric {
  return {
    name,
    help,
    labels: ["peer", "kind"],
    samples: ({ peers }) =>
      peers.flatMap((peer) =>
        peer.kinds.map((kind) => ({
          labels: { peer: peer.name, kind: kind.kind },
          value: valueOf(kind),
        })),
      ),
  };
}

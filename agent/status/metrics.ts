// The agent's state as Prometheus metrics, read when they are asked for.
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { AgentFlowResets, AgentHealth, AgentStatus } from "../../mesh/api/agent-messages.ts";
import type { PolicyCounts } from "./policy-counts.ts";
import { createPolicyMetrics } from "./policy-metrics.ts";

export interface Metrics {
  text(): Promise<string>;
}

export function createMetrics(read: {
  readonly status: () => Promise<AgentStatus>;
  readonly health: () => Promise<AgentHealth>;
  readonly policy?: () => PolicyCounts;
}): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): Gauge =>
    new Gauge({ name: `tombolo_agent_${name}`, help, labelNames, registers: [registry] });

  const ready = gauge("ready", "1 when the node is set up and its own cluster's state applied");
  const cluster = {
    ready: gauge("cluster_session_ready", "1 when the cluster's state is in sync", ["cluster"]),
    usable: gauge("cluster_usable", "1 when new connections may go there", ["cluster"]),
    drained: gauge("cluster_drained_percent", "Share of new connections it yields", ["cluster"]),
    rejected: gauge("cluster_records_rejected", "Records refused since the start", ["cluster"]),
    records: gauge("cluster_records", "Records held of the cluster", ["cluster", "kind"]),
    reconnections: gauge("cluster_reconnections", "Sessions begun again", ["cluster"]),
  };
  const rows = gauge("table_rows", "Rows of a desired table by state", ["table", "state"]);
  const contested = gauge("table_contested", "Keys that several objects claim", ["table"]);

  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name: `tombolo_agent_${name}`, help, labelNames, registers: [registry] });
  const flows = {
    ended: counter("flows_ended_total", "Flows ended because of what they went to", ["reason"]),
    failures: counter("flow_failures_total", "Listings and endings of sockets that were refused"),
  };

  const health = {
    isolated: gauge("isolated", "1 when nobody answers this node"),
    state: gauge("cluster_health", "1 for the state that the cluster is in", [
      "cluster",
      "family",
      "state",
    ]),
    loss: gauge("probe_loss_percent", "Probes lost lately", ["cluster", "family"]),
    roundTrip: gauge("probe_round_trip_ms", "Round trip of late probes", ["cluster", "family"]),
    backends: gauge("backends_down", "Backends that are passed over"),
    blind: gauge("blind_rounds", "Rounds of probes that came too late to count"),
  };

  const policy = createPolicyMetrics({ gauge, counter });

  function setHealth(now: AgentHealth): void {
    health.isolated.set(Number(now.isolated));
    health.backends.set(now.backendsDown);
    health.blind.set(now.blindRounds);
    for (const part of [health.state, health.loss, health.roundTrip]) part.reset();
    for (const seen of now.clusters) {
      const labels = { cluster: seen.name, family: `ipv${seen.family}` };
      health.state.set({ ...labels, state: seen.state }, 1);
      health.loss.set(labels, seen.lossPercent);
      if (seen.roundTripMs >= 0) health.roundTrip.set(labels, seen.roundTripMs);
    }
  }

  /** The agent counts; what is shown is its count. */
  function setFlows({ ended, failures }: AgentFlowResets): void {
    flows.ended.reset();
    for (const { reason, flows: count } of ended) flows.ended.inc({ reason }, count);
    flows.failures.reset();
    flows.failures.inc(failures);
  }

  return {
    async text() {
      const status = await read.status();
      setHealth(await read.health());
      if (status.flows !== null) setFlows(status.flows);
      if (read.policy !== undefined) policy.set(read.policy());
      ready.set(Number(status.ready));
      for (const part of Object.values(cluster)) part.reset();
      for (const peer of status.clusters) {
        const labels = { cluster: peer.name };
        cluster.ready.set(labels, Number(peer.session === "ready"));
        cluster.usable.set(labels, Number(peer.usable));
        cluster.drained.set(labels, peer.drainedPercent);
        cluster.rejected.set(labels, peer.rejected);
        cluster.reconnections.set(labels, peer.reconnections);
        cluster.records.set({ ...labels, kind: "nodes" }, peer.nodes);
        cluster.records.set({ ...labels, kind: "endpoints" }, peer.endpoints);
        cluster.records.set({ ...labels, kind: "services" }, peer.services);
      }
      for (const table of status.reconcilers) {
        rows.set({ table: table.name, state: "desired" }, table.desired);
        rows.set({ table: table.name, state: "applied" }, table.applied);
        rows.set({ table: table.name, state: "failed" }, table.failed);
        contested.set({ table: table.name }, table.contested);
      }
      return registry.metrics();
    },
  };
}

// The part of /metrics that is about policy and drops; the counting is done elsewhere.
import type { Counter, Gauge } from "prom-client";
import type { PolicyCounts } from "./policy-counts.ts";

export interface MetricMakers {
  readonly gauge: (name: string, help: string, labelNames?: readonly string[]) => Gauge;
  readonly counter: (name: string, help: string, labelNames?: readonly string[]) => Counter;
}

export interface PolicyMetrics {
  set(counts: PolicyCounts): void;
}

export function createPolicyMetrics({ gauge, counter }: MetricMakers): PolicyMetrics {
  const endpoints = gauge("policy_endpoints", "Pods by what is enforced at them", ["state"]);
  const entries = gauge("policy_entries", "Entries that the policies of its pods need");
  const drops = counter("drops_total", "What the programs have refused", ["reason"]);
  const read = counter("flow_records_total", "Flow records read from the kernel");
  const lost = counter("flow_records_lost_total", "Flow records lost, by who was too slow", [
    "where",
  ]);

  return {
    set({ endpoints: byState, entries: needed, drops: byReason, flowRecords }) {
      for (const [state, count] of Object.entries(byState)) endpoints.set({ state }, count);
      entries.set(needed);
      for (const counted of [drops, read, lost]) counted.reset();
      for (const [reason, count] of byReason) drops.inc({ reason }, count);
      read.inc(flowRecords.read);
      lost.inc({ where: "agent" }, flowRecords.lost);
      lost.inc({ where: "listener" }, flowRecords.overrun);
    },
  };
}

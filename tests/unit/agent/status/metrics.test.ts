import { describe, expect, test } from "@jest/globals";
import { createMetrics } from "../../../../agent/status/metrics.ts";
import { HEALTH, STATUS } from "../../../fakes/agent-api.ts";

describe("createMetrics()", () => {
  test("shows the status at the moment of the question", async () => {
    let status = STATUS;
    let health = HEALTH;
    const metrics = createMetrics({
      status: () => Promise.resolve(status),
      health: () => Promise.resolve(health),
    });
    const text = await metrics.text();
    for (const line of [
      "tombolo_agent_ready 1",
      'tombolo_agent_cluster_session_ready{cluster="east"} 1',
      'tombolo_agent_cluster_usable{cluster="east"} 1',
      'tombolo_agent_cluster_drained_percent{cluster="east"} 0',
      'tombolo_agent_cluster_records{cluster="east",kind="endpoints"} 5',
      'tombolo_agent_table_rows{table="ipcache",state="applied"} 9',
      'tombolo_agent_table_contested{table="ipcache"} 0',
      'tombolo_agent_cluster_health{cluster="west",family="ipv4",state="healthy"} 1',
      'tombolo_agent_probe_round_trip_ms{cluster="west",family="ipv4"} 0.25',
      "tombolo_agent_isolated 0",
      'tombolo_agent_flows_ended_total{reason="cluster-down"} 10',
      'tombolo_agent_flows_ended_total{reason="node-down"} 0',
      "tombolo_agent_flow_failures_total 0",
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toContain("process_resident_memory_bytes");
    const flows = STATUS.flows && { ...STATUS.flows, failures: 1 };
    status = { ...STATUS, ready: false, clusters: [], flows };
    health = { ...HEALTH, isolated: true, clusters: [] };
    const later = await metrics.text();
    expect(later).toContain("tombolo_agent_ready 0\n");
    expect(later).toContain("tombolo_agent_isolated 1\n");
    expect(later).toContain("tombolo_agent_flow_failures_total 1\n");
    expect(later).toContain('tombolo_agent_flows_ended_total{reason="drain"} 2\n');
    // A cluster that is gone leaves no last value behind.
    expect(later).not.toContain('cluster="east"');
    expect(later).not.toContain('cluster="west"');
  });

  test("shows what is enforced at the node's pods, where there is policy", async () => {
    const read = { status: () => Promise.resolve(STATUS), health: () => Promise.resolve(HEALTH) };
    expect(await createMetrics(read).text()).not.toContain("tombolo_agent_policy_endpoints{");
    const policy = () => ({
      endpoints: { "in-force": 3, closed: 1, waiting: 0 },
      entries: 12,
      drops: new Map([["policy-denied", 5]]),
      flowRecords: { read: 100, overrun: 2, lost: 7 },
    });
    const text = await createMetrics({ ...read, policy }).text();
    expect(text).toContain('tombolo_agent_policy_endpoints{state="closed"} 1\n');
    expect(text).toContain("tombolo_agent_policy_entries 12\n");
  });
});

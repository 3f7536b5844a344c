import { describe, expect, test } from "@jest/globals";
import { createMetrics } from "../../../../agent/status/metrics.ts";
import { STATUS } from "../../../fakes/agent-api.ts";

describe("createMetrics()", () => {
  test("shows the status at the moment of the question", async () => {
    let status = STATUS;
    const metrics = createMetrics(() => Promise.resolve(status));
    const text = await metrics.text();
    for (const line of [
      "tombolo_agent_ready 1",
      'tombolo_agent_cluster_session_ready{cluster="east"} 1',
      'tombolo_agent_cluster_usable{cluster="east"} 1',
      'tombolo_agent_cluster_records{cluster="east",kind="endpoints"} 5',
      'tombolo_agent_table_rows{table="ipcache",state="applied"} 9',
      'tombolo_agent_table_contested{table="ipcache"} 0',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toContain("process_resident_memory_bytes");
    status = { ...STATUS, ready: false, clusters: [] };
    const later = await metrics.text();
    expect(later).toContain("tombolo_agent_ready 0\n");
    // A cluster that is gone leaves no last value behind.
    expect(later).not.toContain('cluster="east"');
  });
});

import { describe, expect, test } from "@jest/globals";
import type { ApiserverStatus } from "../../../apiserver/api/status.ts";
import { createMetricsPage } from "../../../apiserver/metrics.ts";

const STATUS: ApiserverStatus = {
  version: "0.1.0",
  cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
  etcd: { mode: "embedded", state: "running", endpoints: [], pid: 1, restarts: 2, lastError: "" },
  source: { directory: "/m", synced: true, files: 1, objects: { Pod: 3 }, problems: [] },
  identities: { inUse: 1, retired: 0, capacity: 10 },
  exports: [{ kind: "ip", desired: 3, applied: 2, synced: true, failed: [], failedTotal: 1 }],
  peers: [
    {
      name: "west",
      id: 2,
      state: "ready",
      reason: "",
      endpoints: [],
      heartbeatAgeSeconds: -1,
      reconnections: 0,
      synced: true,
      version: "",
      leafEndpoints: [],
      kinds: [
        {
          kind: "ip",
          records: 5,
          mirrored: 4,
          synced: true,
          rejected: 7,
          rejectedLatest: [],
          claimsRefused: 1,
          claimsRefusedLatest: [],
          writeFailures: 0,
        },
      ],
    },
  ],
  ready: true,
  reasons: [],
  uptimeSeconds: 1,
  drains: [],
  operations: undefined,
};

describe("createMetricsPage()", () => {
  test("render() shows the status as it is now and forgets what is gone", async () => {
    let status = STATUS;
    const page = createMetricsPage(() => status);
    const { text, contentType } = await page.render();
    expect(contentType).toContain("text/plain");
    for (const line of [
      "tombolo_apiserver_ready 1",
      "tombolo_apiserver_etcd_restarts_total 2",
      'tombolo_apiserver_export_rows{kind="ip",state="failed"} 1',
      'tombolo_apiserver_peer_state{peer="west",state="ready"} 1',
      'tombolo_apiserver_peer_state{peer="west",state="stale"} 0',
      'tombolo_apiserver_peer_rejected_total{peer="west",kind="ip"} 7',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).not.toMatch(/^tombolo_apiserver_peer_heartbeat_age_seconds\{/m);
    status = { ...STATUS, peers: [] };
    expect((await page.render()).text).not.toContain('peer="west"');
  });
});

import { describe, expect, test } from "@jest/globals";
import { Counter, Gauge, Registry } from "prom-client";
import type { PolicyCounts } from "../../../../agent/status/policy-counts.ts";
import { createPolicyMetrics } from "../../../../agent/status/policy-metrics.ts";

describe("createPolicyMetrics()", () => {
  test("shows counts as they are, however often they are set", async () => {
    const registry = new Registry();
    const registers = [registry];
    const metrics = createPolicyMetrics({
      gauge: (name, help, labelNames = []) => new Gauge({ name, help, labelNames, registers }),
      counter: (name, help, labelNames = []) => new Counter({ name, help, labelNames, registers }),
    });
    const counts: PolicyCounts = {
      endpoints: { "in-force": 3, closed: 1, waiting: 0 },
      entries: 12,
      drops: new Map([["policy-denied", 5]]),
      flowRecords: { read: 100, overrun: 2, lost: 7 },
    };
    metrics.set({ ...counts, entries: 99 });
    metrics.set(counts);
    const text = await registry.metrics();
    for (const line of [
      'policy_endpoints{state="in-force"} 3',
      'policy_endpoints{state="closed"} 1',
      'policy_endpoints{state="waiting"} 0',
      "policy_entries 12",
      'drops_total{reason="policy-denied"} 5',
      "flow_records_total 100",
      'flow_records_lost_total{where="agent"} 7',
      'flow_records_lost_total{where="listener"} 2',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });
});

import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import type { Agent, AgentTable } from "../../../../agent/agent.ts";
import { readinessOf } from "../../../../agent/status/readiness.ts";
import { EAST } from "../../../fakes/agent-cluster.ts";
import { createTestIntent } from "../../../fakes/agent-intent.ts";

/** One desired table of two rows. */
function create(state: { settled: boolean; applied: number; failed: readonly string[] }) {
  const intent = createTestIntent(EAST);
  const desired = createTable<unknown>({ name: "ipcache" });
  desired.put("a", 1);
  desired.put("b", 1);
  const table: AgentTable = {
    desired,
    settlement: {
      mayPrune: () => state.settled,
      mayPruneAll: () => state.settled,
      unsettled: () => [],
      changed: createTable<number>({ name: "settlement" }),
    },
    reconciler: {
      run: () => Promise.resolve(),
      reapply: () => {},
      pruneAgain: () => {},
      status: () => ({
        name: "ipcache",
        applied: state.applied,
        failed: new Map(state.failed.map((key) => [key, new Error("full")])),
        pruned: false,
      }),
    },
    contested: () => 0,
  };
  const agent = { intent, tables: [table] } satisfies Pick<Agent, "intent" | "tables">;
  return { intent, agent };
}

describe("readinessOf()", () => {
  test("names what has not been read", () => {
    const { agent } = create({ settled: true, applied: 2, failed: [] });
    expect(readinessOf(agent, { isSetUp: true })).toEqual({
      ready: false,
      reasons: ["nodes", "endpoints", "services", "peers"].map(
        (name) => `"${name}" has not been read from etcd`,
      ),
    });
  });

  const cases = [
    ["the node", { settled: true, applied: 2, failed: [] }, false, "This node is not in etcd yet"],
    ["planning", { settled: false, applied: 2, failed: [] }, true, '"ipcache" is being planned'],
    ["writing", { settled: true, applied: 1, failed: [] }, true, '"ipcache" is being written'],
  ] as const;
  for (const [what, state, isSetUp, reason] of cases) {
    test(`waits for ${what}`, () => {
      const { agent, intent } = create(state);
      intent.own.markSynced();
      intent.peers.markSynced();
      const readiness = readinessOf(agent, { isSetUp });
      expect(readiness.ready).toBe(false);
      expect(readiness.reasons[0]).toContain(reason);
    });
  }

  test("is ready although a row cannot be applied, and says so", () => {
    const { agent, intent } = create({ settled: true, applied: 1, failed: ["b"] });
    intent.own.markSynced();
    intent.peers.markSynced();
    expect(readinessOf(agent, { isSetUp: true })).toEqual({
      ready: true,
      reasons: ['1 rows of "ipcache" cannot be applied'],
    });
  });
});

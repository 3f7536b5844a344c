// Whether the agent has done for its node what it can, and what it waits for. Computed from
// state, never set by hand. Connected clusters do not count: a node works without them.
import type { Agent, AgentTable } from "../agent.ts";

export interface Readiness {
  readonly ready: boolean;
  /** What it waits for, or what an operator should know; a sentence each. */
  readonly reasons: readonly string[];
}

export function readinessOf(
  agent: Pick<Agent, "intent" | "tables">,
  node: {
    readonly isSetUp: boolean;
    /** What else keeps pods from being attached; empty ones do not count. */
    readonly problems?: readonly string[];
    /** What an operator should know although the agent does what it can. */
    readonly remarks?: readonly string[];
  },
): Readiness {
  const { own } = agent.intent;
  const missing: string[] = [];
  for (const table of [own.nodes, own.endpoints, own.services, agent.intent.peers]) {
    if (!table.synced) missing.push(`"${table.name}" has not been read from etcd`);
  }
  if (missing.length === 0 && !node.isSetUp) {
    missing.push("This node is not in etcd yet, or has no pod prefix");
  }
  for (const { desired, settlement, reconciler } of agent.tables) {
    if (missing.length > 0) break;
    if (!settlement.mayPrune(own.cluster.id)) missing.push(`"${desired.name}" is being planned`);
    else if (backlog({ desired, reconciler }) > 0)
      missing.push(`"${desired.name}" is being written`);
  }
  if (missing.length === 0) missing.push(...(node.problems ?? []).filter((text) => text !== ""));
  const remarks = agent.tables.flatMap(({ desired, reconciler }) => {
    const failed = reconciler.status().failed.size;
    return failed === 0 ? [] : [`${failed} rows of "${desired.name}" cannot be applied`];
  });
  remarks.push(...(node.remarks ?? []).filter((text) => text !== ""));
  return { ready: missing.length === 0, reasons: [...missing, ...remarks] };
}

/** Rows that have neither been applied nor failed. */
function backlog({ desired, reconciler }: Pick<AgentTable, "desired" | "reconciler">): number {
  const { applied, failed } = reconciler.status();
  return Math.max(0, desired.size - applied - failed.size);
}

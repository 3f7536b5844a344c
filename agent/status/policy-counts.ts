// What /metrics shows of policy: endpoints by state, the entries that are in force, records that
// nobody has seen, and what the programs have dropped.
import type { CountMap } from "../../bpf/counts.ts";
import type { CounterName, DropName } from "../../bpf/datapath.ts";
import { DropReason } from "../../bpf/gen/drop.ts";
import type { ObserveStatus } from "../observe/observe.ts";
import { dropWord } from "../observe/words.ts";
import { nodePods } from "./node-pods.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import { problemOf } from "./report-endpoints.ts";

export interface PolicyCounts {
  readonly endpoints: Readonly<Record<EndpointCondition, number>>;
  readonly entries: number;
  /** Since the maps were made; by the words of `mesh bpf drops`. */
  readonly drops: ReadonlyMap<string, number>;
  readonly flowRecords: {
    /** Since the agent has started. */
    readonly read: number;
    /** By listeners that were slow, since then. */
    readonly overrun: number;
    /** By the kernel, since the maps were made. */
    readonly lost: number;
  };
}

export type EndpointCondition = "in-force" | "closed" | "waiting";

export interface PolicyCountsParts {
  readonly report: Pick<PolicyReportParts, "intent" | "endpoints" | "engine" | "planner" | "maps">;
  readonly counters: Pick<CountMap<CounterName>, "read">;
  readonly drops: Pick<CountMap<DropName>, "read">;
  readonly observe: () => ObserveStatus;
}

export function countPolicy({ report, counters, drops, observe }: PolicyCountsParts): PolicyCounts {
  const endpoints = { "in-force": 0, closed: 0, waiting: 0 };
  let entries = 0;
  for (const pod of nodePods(report)) {
    const state = pod.endpoint && report.engine.stateOf(pod.endpoint.key);
    entries += state?.entries ?? 0;
    if (problemOf(pod, report) === "") endpoints["in-force"]++;
    else if (state?.closed !== undefined) endpoints.closed++;
    else endpoints.waiting++;
  }
  const { records, overrun } = observe();
  const lost = Number(counters.read().get("flowRecordsLost") ?? 0n);
  return {
    endpoints,
    entries,
    drops: new Map(
      [...drops.read()]
        .filter(([name]) => name !== "none")
        .map(([name, count]) => [dropWord(DropReason[name]), Number(count)]),
    ),
    flowRecords: { read: records, overrun, lost },
  };
}

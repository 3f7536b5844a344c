// What people are told of this node's policy, identities and flows, put together from its real
// parts. It reads; nothing that is enforced depends on it.
import { join } from "node:path";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { flowRecordCodec } from "../../bpf/gen/layout.ts";
import { flowRecordsMap } from "../../bpf/gen/maps.ts";
import type { PolicyMaps } from "../../bpf/policy-maps.ts";
import { openPinnedRingBuffer } from "../../bpf/ring-buffer.ts";
import type { PolicyMethods } from "../../mesh/api/policy-messages.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import type { Intent } from "../intent/intent.ts";
import { createNodeObserve } from "../observe/observe.ts";
import { countPolicy, type PolicyCounts } from "../status/policy-counts.ts";
import { createPolicyReport, type AskedBy } from "../status/policy-report.ts";
import type { NodePolicy } from "./node-policy.ts";

export interface PolicyAnswersOptions {
  readonly bpfRoot: string;
  readonly nodeName: string;
  readonly cluster: ClusterIdentity;
  readonly intent: Intent;
  readonly policy: Pick<NodePolicy, "endpoints" | "engine" | "planner">;
  readonly policies: Pick<PolicyMaps, "open">;
  readonly maps: Pick<
    DatapathMaps,
    "policyNode" | "policyState" | "ipcache" | "counters" | "drops"
  >;
  readonly clock: Clock;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly log: Logger;
}

export interface PolicyAnswers extends Disposable {
  readonly methods: PolicyMethods<AskedBy>;
  counts(): PolicyCounts;
  readonly tasks: readonly Task[];
}

/** Throws `not_found` where no datapath is pinned. It is the one reader of the node's records. */
export function openPolicyAnswers(options: PolicyAnswersOptions): PolicyAnswers {
  const { policy, maps } = options;
  const { counters, drops } = maps;
  const records = openPinnedRingBuffer(join(options.bpfRoot, "maps", flowRecordsMap.name), {
    spec: flowRecordsMap,
    record: flowRecordCodec,
  });
  const observe = createNodeObserve({ ...options, ...policy, records, counters });
  const report = { ...options, ...policy, observe: observe.observe };
  return {
    methods: createPolicyReport(report),
    counts: () => countPolicy({ report, counters, drops, observe: observe.status }),
    tasks: observe.tasks,
    [Symbol.dispose]: () => records.close(),
  };
}

// What the answers about policy are put together from.
import type {
  IpcacheEntry,
  IpcacheKey,
  InterfaceKey,
  PolicyNode,
  PolicyState,
} from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { PolicyMaps } from "../../bpf/policy-maps.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { PolicyPlanner } from "../desired/policy.ts";
import type { LocalEndpoint } from "../endpoints/local-endpoints.ts";
import type { Intent } from "../intent/intent.ts";
import type { NodeObserve } from "../observe/observe.ts";
import type { PolicyEngine } from "../policy/engine.ts";

export interface PolicyReportParts {
  readonly nodeName: string;
  readonly cluster: ClusterIdentity;
  readonly intent: Intent;
  readonly endpoints: Table<LocalEndpoint>;
  readonly engine: Pick<
    PolicyEngine,
    "stateOf" | "costOf" | "ruleOf" | "rows" | "explain" | "numberOfAddress"
  >;
  readonly planner: Pick<PolicyPlanner, "enforced" | "isReady" | "isCurrent">;
  /** What the kernel holds. */
  readonly policies: Pick<PolicyMaps, "open">;
  readonly maps: {
    readonly policyState: Pick<BpfMap<InterfaceKey, PolicyState>, "get">;
    readonly policyNode: Pick<BpfMap<number, PolicyNode>, "get">;
    readonly ipcache: Pick<BpfMap<IpcacheKey, IpcacheEntry>, "get" | "entries">;
  };
  readonly observe: NodeObserve["observe"];
  readonly clock: Clock;
}

// What the datapath makes of a cluster's row for one address family: bpf/lib/clusters.h,
// yielded_percent().
import type { AddressFamily } from "../../mesh/core/address.ts";
import { ClusterDrill, ClusterHealth, type ClusterState } from "../../bpf/gen/layout.ts";

/** The share of new connections that it yields where another can serve; undefined: it gets none. */
export function yieldedPercent(
  state: ClusterState | undefined,
  asked: { readonly family: AddressFamily; readonly kernelNowNs: bigint },
): number | undefined {
  if (state === undefined) return 0;
  const { kernelNowNs, family } = asked;
  const health = family === 4 ? state.healthIpv4 : state.healthIpv6;
  const heldBack = family === 4 ? state.heldBackPercentIpv4 : state.heldBackPercentIpv6;
  if (health === ClusterHealth.down) return undefined;
  if (state.drill === ClusterDrill.down && kernelNowNs < state.drillExpiresNs) return undefined;
  const drainOver = state.drainExpiresNs > 0n && kernelNowNs >= state.drainExpiresNs;
  const drained = drainOver ? 0 : state.drainedPercent;
  return Math.max(health === ClusterHealth.lastResort ? 100 : heldBack, drained);
}

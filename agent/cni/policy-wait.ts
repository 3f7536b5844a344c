// ADD ends when the pod's policy is in place, so that its first packet finds it there. A pod whose
// policy is late is closed, never open: then ADD ends all the same, after a moment.
import { join } from "node:path";
import { PolicyMode } from "../../bpf/gen/layout.ts";
import { policyNodeMap, policyStateMap } from "../../bpf/gen/maps.ts";
import { openPinnedMap } from "../../bpf/map.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";
import type { Clock } from "../../mesh/core/clock.ts";

/** Container runtimes give an ADD minutes; a person who starts a pod notices seconds. */
const WAIT_LIMIT_MS = 3_000;
const LOOK_INTERVAL_MS = 10;

export interface PolicyView {
  /** Whether nothing stands between a pod without a policy and the network. */
  isOpenToAll(): boolean;
  hasPolicy(ifindex: number): boolean;
}

/** Reads what the agent has pinned. Throws `not_found` where there is no datapath. */
export async function awaitPinnedPolicy(
  pod: { readonly bpfRoot: string; readonly hostInterface: string },
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const path = (name: string): string => join(pod.bpfRoot, "maps", name);
  using node = openPinnedMap(path(policyNodeMap.name), policyNodeMap);
  using state = openPinnedMap(path(policyStateMap.name), policyStateMap);
  const view = {
    isOpenToAll: () => node.get(0)?.mode !== PolicyMode.closed,
    hasPolicy: (ifindex: number) => state.get({ ifindex }) !== undefined,
  };
  return await awaitPolicy(
    { view, ifindex: interfaceIndexFromName(pod.hostInterface) },
    clock,
    signal,
  );
}

/** Whether the policy came in time. Rejects with `aborted`. */
export async function awaitPolicy(
  pod: { readonly view: PolicyView; readonly ifindex: number },
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const untilMs = clock.monotonicMs() + WAIT_LIMIT_MS;
  while (!pod.view.isOpenToAll() && !pod.view.hasPolicy(pod.ifindex)) {
    if (clock.monotonicMs() >= untilMs) return false;
    await clock.sleep(LOOK_INTERVAL_MS, signal);
  }
  return true;
}

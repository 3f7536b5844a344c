import { expect, test } from "@jest/globals";
import { NEVER_WRITTEN } from "../../../../agent/apply/cluster-state.ts";
import { yieldedPercent } from "../../../../agent/apply/yielded-percent.ts";
import { ClusterDrill, ClusterHealth, type ClusterState } from "../../../../bpf/gen/layout.ts";

const cases: readonly [string, Partial<ClusterState>, number | undefined][] = [
  ["an ordinary row", {}, 0],
  ["a drain", { drainedPercent: 25 }, 25],
  ["a drain of all", { drainedPercent: 100 }, 100],
  ["a drain that is over", { drainedPercent: 25, drainExpiresNs: 10n }, 0],
  ["a drain that goes on", { drainedPercent: 25, drainExpiresNs: 11n }, 25],
  ["a return in steps", { heldBackPercentIpv4: 50, drainedPercent: 25 }, 50],
  ["a drain during a return", { heldBackPercentIpv4: 50, drainedPercent: 75 }, 75],
  ["the last resort", { healthIpv4: ClusterHealth.lastResort }, 100],
  ["another family's last resort", { healthIpv6: ClusterHealth.lastResort }, 0],
  ["a cluster that is down", { healthIpv4: ClusterHealth.down }, undefined],
  ["a drill", { drill: ClusterDrill.down, drillExpiresNs: 11n }, undefined],
  ["a drill that is over", { drill: ClusterDrill.down, drillExpiresNs: 10n }, 0],
];

test.each(cases)("yieldedPercent() of %s", (_, fields, percent) => {
  const state = { ...NEVER_WRITTEN, ...fields };
  expect(yieldedPercent(state, { family: 4, kernelNowNs: 10n })).toBe(percent);
});

test("yieldedPercent() of a row that was never written is none", () => {
  expect(yieldedPercent(undefined, { family: 6, kernelNowNs: 10n })).toBe(0);
});

import { expect, test } from "@jest/globals";
import type { ClusterId } from "../../../../mesh/core/cluster.ts";
import { movableServices, problemOf } from "../../../../agent/flows/node-flows.ts";

test("problemOf() names namespaces by their reasons, a few of each", () => {
  expect(problemOf(new Map())).toBe("");
  const failed = new Map([
    ["", "no sock_diag"],
    ...["a", "b", "c", "d", "e"].map((name) => [`/run/netns/${name}`, "EPERM"] as const),
  ]);
  expect(problemOf(failed)).toBe(
    "Flows cannot be ended in 6 network namespaces: the node's own (no sock_diag); " +
      "/run/netns/a, /run/netns/b, /run/netns/c, and 2 more (EPERM)",
  );
});

test("movableServices() are those that another cluster has backends for", () => {
  const group = (clusterId: ClusterId, change: { weight?: number; slots?: number[] } = {}) => ({
    clusterId,
    tier: 0,
    weight: 1,
    slots: [7],
    ...change,
  });
  const [east, west] = [1, 2] as ClusterId[];
  if (east === undefined || west === undefined) throw new RangeError("There are two clusters");
  const frontends = [
    { serviceId: 1, groups: [group(east), group(west)] },
    { serviceId: 2, groups: [group(west)] },
    { serviceId: 3, groups: [group(east, { weight: 0 }), group(west)] },
    { serviceId: 4, groups: [group(east, { slots: [] }), group(west)] },
  ];
  expect([...movableServices(frontends, west)]).toEqual([1]);
  expect([...movableServices(frontends, east)]).toEqual([1, 2, 3, 4]);
});

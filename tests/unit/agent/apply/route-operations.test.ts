import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import { createRouteOperations, readRoutes } from "../../../../agent/apply/route-operations.ts";
import type { Settlement } from "../../../../agent/desired/settlement.ts";
import type { NodeRoute } from "../../../../agent/plan/plan-routes.ts";
import { createScriptedIp, type ScriptedIp } from "../../../fakes/ip-command.ts";

const never = new AbortController().signal;
const OVERLAY: NodeRoute = {
  kind: "overlay",
  prefix: "10.2.1.0/24",
  mtu: 1450,
  source: "10.1.1.1",
};
const OWN: NodeRoute = { kind: "unreachable", prefix: "fd00:1::/64" };

/** As iproute2 6.1 prints them. */
const ROWS4 = [
  {
    dst: "10.2.1.0/24",
    dev: "tombolo_vxlan",
    scope: "link",
    prefsrc: "10.1.1.1",
    flags: [],
    metrics: [{ mtu: 1450 }],
  },
];
const ROWS6 = [{ type: "unreachable", dst: "fd00:1::/64", dev: "lo", metric: 1024, flags: [] }];

function kernel(rows4: readonly object[], rows6: readonly object[]): ScriptedIp {
  const ip = createScriptedIp();
  ip.answers.set("-4 route show table main proto 84", rows4 as Record<string, unknown>[]);
  ip.answers.set("-6 route show table main proto 84", rows6 as Record<string, unknown>[]);
  return ip;
}

function settled(all = true): Settlement {
  return {
    mayPrune: () => true,
    mayPruneAll: () => all,
    unsettled: () => [],
    changed: createTable<number>({ name: "settlement" }),
  };
}

function operations(ip: ScriptedIp, settlement = settled(), ready = Promise.resolve()) {
  const addressesReady = (): Promise<void> => ready;
  return createRouteOperations({ ip, device: "tombolo_vxlan", settlement, addressesReady });
}

const update = (row: NodeRoute) => ({ key: row.prefix, row, previous: undefined });

describe("readRoutes()", () => {
  test("reads our routes of both families", async () => {
    const routes = await readRoutes({ ip: kernel(ROWS4, ROWS6), device: "tombolo_vxlan" }, never);
    expect([...routes.values()]).toEqual([OVERLAY, OWN]);
  });

  test("gives the route of a host its length, and one through another device no MTU", async () => {
    const row = { dst: "10.9.9.9", dev: "eth0", metrics: [{ mtu: 1450 }] };
    const routes = await readRoutes({ ip: kernel([row], []), device: "tombolo_vxlan" }, never);
    expect([...routes.values()]).toEqual([
      { kind: "overlay", prefix: "10.9.9.9/32", mtu: 0, source: "" },
    ]);
  });
});

describe("createRouteOperations()", () => {
  test("update() writes what is missing or different, and nothing else", async () => {
    const ip = kernel(ROWS4, []);
    await operations(ip).update([update(OVERLAY), update(OWN)], never);
    expect(ip.lines).toEqual(["route replace unreachable fd00:1::/64 proto 84"]);
    await operations(ip).update([update({ ...OVERLAY, mtu: 1400 })], never);
    expect(ip.lines[1]).toBe(
      "route replace 10.2.1.0/24 proto 84 dev tombolo_vxlan mtu 1400 src 10.1.1.1",
    );
  });

  test("update() waits for the node's address where a route names it", async () => {
    const ip = kernel([], []);
    const ready = Promise.withResolvers<void>();
    const waiting = operations(ip, settled(), ready.promise);
    await waiting.update([update(OWN), update({ ...OVERLAY, source: "" })], never);
    expect(ip.lines.length).toBe(2);
    const updating = waiting.update([update(OVERLAY)], never);
    await Promise.resolve();
    expect(ip.lines.length).toBe(2);
    ready.resolve();
    await updating;
    expect(ip.lines.length).toBe(3);
  });

  test("update() names the rows that the kernel refuses, and applies the others", async () => {
    const ip = kernel([], []);
    ip.refuse = /unreachable/;
    const failures = await operations(ip).update([update(OWN), update(OVERLAY)], never);
    expect([...failures.keys()]).toEqual(["fd00:1::/64"]);
    expect(ip.lines.length).toBe(1);
  });

  test("delete() removes what is there, and takes what is not for removed", async () => {
    const ip = kernel(ROWS4, ROWS6);
    const other: NodeRoute = { ...OVERLAY, prefix: "10.3.0.0/24" };
    const rows = [OVERLAY, OWN, other].map((row) => ({ key: row.prefix, row }));
    expect((await operations(ip).delete(rows, never)).size).toBe(0);
    expect(ip.lines).toEqual([
      "route del 10.2.1.0/24 proto 84",
      "route del unreachable fd00:1::/64 proto 84",
    ]);
  });

  test("prune() removes what nobody desires once everyone has spoken", async () => {
    const desired = createTable<NodeRoute>({ name: "routes" });
    desired.put(OVERLAY.prefix, OVERLAY);
    const ip = kernel(ROWS4, ROWS6);
    await operations(ip, settled(false)).prune(desired, never);
    expect(ip.lines).toEqual([]);
    await operations(ip).prune(desired, never);
    expect(ip.lines).toEqual(["route del unreachable fd00:1::/64 proto 84"]);
  });
});

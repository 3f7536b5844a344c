// Services as a drill's plan needs them: which group is in use, where backends live, in pages.
import { describe, expect, test } from "@jest/globals";
import { listServiceFacts } from "../../../../agent/drill/service-facts.ts";
import type { Frontend, IsBackendDown } from "../../../../agent/plan/plan-service.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import type { MeshNode } from "../../../../mesh/core/node.ts";
import { DEFAULT_SERVICE_SETTINGS, type LocalService } from "../../../../mesh/core/service.ts";
import { createTestIntent } from "../../../fakes/agent-intent.ts";

const EAST = { name: "east", id: 1, maxConnectedClusters: 255 } as const;

function setup(names: readonly string[]) {
  const intent = createTestIntent(EAST);
  const frontends = createTable<Frontend>({ name: "frontends" });
  for (const service of names) {
    const settings = { ...DEFAULT_SERVICE_SETTINGS, global: true };
    intent.own.services.put(service, { settings } as LocalService);
    const backend = (address: string) => ({ address, port: 8_080 });
    const group = { tier: 0, weight: 1 };
    const key = `10.96.0.1:80/TCP ${service}`;
    frontends.put(key, {
      key,
      service,
      portName: "",
      address: "10.96.0.1",
      port: 80,
      protocol: "TCP",
      sessionAffinitySeconds: 0,
      groups: [
        { ...group, cluster: "east", clusterId: 1, backends: [backend("10.1.0.1")] },
        { ...group, cluster: "west", clusterId: 2, tier: 1, backends: [backend("10.2.0.1")] },
      ],
    });
  }
  const node = { name: "east-1", addresses: [{ type: "InternalIP", ip: "192.0.2.1" }] };
  intent.own.nodes.put("east-1", node as unknown as MeshNode);
  const endpoint = { prefix: "10.1.0.1", hostIp: "192.0.2.1" };
  intent.own.endpoints.put("10.1.0.1", endpoint as never);
  const isDown: IsBackendDown = () => false;
  return { intent, frontends, isDown, usable: () => true };
}

describe("listServiceFacts()", () => {
  test("names nodes, and the tier that is in use", () => {
    const { services, more } = listServiceFacts(setup(["shop/cart"]), "");
    expect(more).toBe(false);
    expect(services[0]).toMatchObject({ service: "shop/cart", global: true });
    const [local, remote] = services[0]?.frontends[0]?.groups ?? [];
    expect(local).toMatchObject({ cluster: "east", usable: true, inUse: true });
    expect(local?.backends[0]).toMatchObject({ node: "east-1", up: true });
    expect(remote).toMatchObject({ cluster: "west", tier: 1, usable: true, inUse: false });
    expect(remote?.backends[0]?.node).toBe("");
  });

  test("passes over a group of which every backend is down, and a cluster that cannot be used", () => {
    const isDown: IsBackendDown = ({ clusterId }) => clusterId === 1;
    const inUse = (parts: Parameters<typeof listServiceFacts>[0]): boolean[] =>
      (listServiceFacts(parts, "").services[0]?.frontends[0]?.groups ?? []).map(
        (group) => group.inUse,
      );
    expect(inUse({ ...setup(["a/b"]), isDown })).toEqual([false, true]);
    expect(inUse({ ...setup(["a/b"]), usable: (id) => id !== 1 })).toEqual([false, true]);
    expect(inUse({ ...setup(["a/b"]), isDown, usable: (id) => id === 1 })).toEqual([false, false]);
  });

  test("comes in pages that together hold every service once", () => {
    const names = Array.from({ length: 3_000 }, (_, i) => `shop/service-${i}`);
    const parts = setup(names);
    const found: string[] = [];
    for (let pages = 0; pages < 10; pages++) {
      const page = listServiceFacts(parts, found.at(-1) ?? "");
      expect(JSON.stringify(page).length).toBeLessThan(600_000);
      found.push(...page.services.map(({ service }) => service));
      if (!page.more) break;
    }
    expect(found).toEqual([...names].sort());
  });
});

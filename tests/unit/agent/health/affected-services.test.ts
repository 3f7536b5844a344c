import { expect, test } from "@jest/globals";
import { servicesWithBackends } from "../../../../agent/health/affected-services.ts";

test("servicesWithBackends() finds services by their slots, and passes over unknown frontends", () => {
  const frontend = (slots: readonly number[]) => ({
    address: { address: "10.96.0.1", port: 80, protocol: "TCP" as const },
    serviceId: 1,
    affinitySeconds: 0,
    groups: [{ clusterId: 1, tier: 0, weight: 1, slots }],
  });
  const frontends = new Map([
    ["a", frontend([1, 2])],
    ["b", frontend([3])],
    ["gone", frontend([2])],
  ]);
  const names = new Map([
    ["a", "shop/a"],
    ["b", "shop/b"],
  ]);
  const known = { state: { frontends }, serviceOf: (key: string) => names.get(key) };
  expect([...servicesWithBackends([2], known)]).toEqual(["shop/a"]);
  expect([...servicesWithBackends([9], known)]).toEqual([]);
});

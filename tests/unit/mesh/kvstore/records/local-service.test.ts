import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClusterIdentity } from "../../../../../mesh/core/cluster.ts";
import { DEFAULT_SERVICE_SETTINGS } from "../../../../../mesh/core/service.ts";
import {
  encodeLocalService,
  localServiceName,
  parseLocalService,
} from "../../../../../mesh/kvstore/records/local-service.ts";
import { clusterIdentity, damaged, localService } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const EAST: ClusterIdentity = { name: "east", id: 1, maxConnectedClusters: 255 };
const SERVICE = { cluster: "east", clusterID: 1, namespace: "shop", name: "cart" };

const parse = (settings: unknown, service: unknown = SERVICE): unknown =>
  parseLocalService("shop/cart", Buffer.from(JSON.stringify({ service, settings })), EAST);

describe("parseLocalService()", () => {
  test("reads a service without settings as an unannotated one", () => {
    expect(parse(undefined)).toMatchObject({
      service: { cluster: "east", clusterId: 1, namespace: "shop", name: "cart" },
      settings: DEFAULT_SERVICE_SETTINGS,
    });
  });

  test("reads every setting", () => {
    expect(
      parse({
        global: true,
        shared: false,
        affinity: "local",
        sessionAffinitySeconds: 10_800,
        failoverOrder: [["west", "north"], ["south"]],
        weights: { east: 90, west: 10 },
        minHealthy: { kind: "percent", percent: 30 },
      }),
    ).toMatchObject({
      settings: {
        global: true,
        shared: false,
        affinity: "local",
        sessionAffinitySeconds: 10_800,
        failoverOrder: [["west", "north"], ["south"]],
        weights: new Map([
          ["east", 90],
          ["west", 10],
        ]),
        minHealthy: { kind: "percent", percent: 30 },
      },
    });
  });

  for (const [settings, reason] of [
    [{ global: 1 }, /field "settings.global" is 1, want true or false/],
    [{ affinity: "near" }, /field "settings.affinity" is "near", want one of "none"/],
    [{ sessionAffinitySeconds: 86_401 }, /want a whole number from 0 to 86400/],
    [{ failoverOrder: ["west"] }, /field "settings.failoverOrder.0" is "west", want a list/],
    [{ failoverOrder: [["West"]] }, /"settings.failoverOrder.0.0" is "West", want a cluster's/],
    [{ weights: { west: -1 } }, /field "settings.weights.west" is -1/],
    [{ weights: { "We st": 1 } }, /has the key "We st"/],
    [{ minHealthy: { kind: "all" } }, /"settings.minHealthy.kind" is "all"/],
    [{ minHealthy: { kind: "percent", percent: 101 } }, /want a whole number from 0 to 100/],
    ["global", /field "settings" is "global", want an object/],
  ] as const) {
    test(`refuses the settings ${JSON.stringify(settings)}`, () => {
      expect(() => parse(settings)).toThrow(reason);
    });
  }

  test("refuses a service under another key or of another cluster", () => {
    expect(() => parse({}, { ...SERVICE, name: "basket" })).toThrow(/want what the key says/);
    expect(() => parse({}, { ...SERVICE, cluster: "west" })).toThrow(/"service.cluster" is "west"/);
    expect(() => parse({}, null)).toThrow(/field "service.namespace" is missing/);
  });

  test("reads back what encodeLocalService() writes", () => {
    const cases = clusterIdentity.chain((cluster) =>
      localService(cluster).map((value) => ({ cluster, value })),
    );
    fc.assert(
      fc.property(cases, ({ cluster, value }) => {
        const bytes = encodeLocalService(value);
        expect(parseLocalService(localServiceName(value), bytes, cluster)).toEqual(value);
      }),
    );
  });

  test("parses or refuses, whatever bytes it is given", () => {
    const cases = localService(EAST).chain((value) =>
      fc.record({
        name: fc.constant(localServiceName(value)),
        bytes: damaged(fc.constant(encodeLocalService(value))),
      }),
    );
    fc.assert(
      fc.property(cases, ({ name, bytes }) => {
        const parsed = parsedOrRefused(() => parseLocalService(name, bytes, EAST));
        if (parsed === undefined) return;
        expect(parseLocalService(name, encodeLocalService(parsed), EAST)).toEqual(parsed);
      }),
      { numRuns: 1_000 },
    );
  });
});

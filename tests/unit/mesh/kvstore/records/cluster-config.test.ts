import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  cachedClusterConfig,
  clusterConfigName,
  encodeClusterConfig,
  OWN_CAPABILITIES,
  parseClusterConfig,
} from "../../../../../mesh/kvstore/records/cluster-config.ts";
import { clusterConfig, damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const CONFIG_JSON =
  '{"id":1,"capabilities":{"syncedCanaries":true,"cached":false,"maxConnectedClusters":255,' +
  '"serviceExportsEnabled":false,"endpointSlicesExportMode":"services-and-endpointslices"}}';

const parse = (value: unknown, name = "east"): unknown =>
  parseClusterConfig(name, Buffer.from(JSON.stringify(value)));

describe("parseClusterConfig()", () => {
  test("reads a config as a Cilium cluster writes it, and encodeClusterConfig() writes the same bytes", () => {
    const value = parseClusterConfig("east", Buffer.from(CONFIG_JSON));
    expect(value).toEqual({
      cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
      capabilities: {
        syncedCanaries: true,
        cached: false,
        serviceExportsEnabled: false,
        endpointSlicesExportMode: "services-and-endpointslices",
      },
    });
    expect(encodeClusterConfig(value).toString()).toBe(CONFIG_JSON);
  });

  for (const value of [{ id: 7 }, { id: 7, capabilities: {} }, { id: 7, capabilities: null }]) {
    test(`reads ${JSON.stringify(value)}: an older cluster without capabilities`, () => {
      expect(parse(value)).toEqual({
        cluster: { name: "east", id: 7, maxConnectedClusters: 255 },
        capabilities: {
          syncedCanaries: false,
          cached: false,
          serviceExportsEnabled: undefined,
          endpointSlicesExportMode: "",
        },
      });
    });
  }

  test("takes the ids of a wider mesh where the config says so", () => {
    expect(parse({ id: 511, capabilities: { maxConnectedClusters: 511 } })).toMatchObject({
      cluster: { id: 511, maxConnectedClusters: 511 },
    });
  });

  for (const [value, reason] of [
    [{}, /field "id" is missing, want a whole number from 1 to 255/],
    [{ id: 0 }, /field "id" is 0/],
    [{ id: 256 }, /field "id" is 256/],
    [{ id: "1" }, /field "id" is "1"/],
    [{ id: 1, capabilities: [] }, /field "capabilities" is a list of 0, want an object/],
    [
      { id: 1, capabilities: { maxConnectedClusters: 300 } },
      /field "capabilities.maxConnectedClusters" is 300, want 255 or 511/,
    ],
    [
      { id: 1, capabilities: { endpointSlicesExportMode: "all" } },
      /"capabilities.endpointSlicesExportMode" is "all", want one of ""/,
    ],
    [{ id: 1, capabilities: { cached: "no" } }, /want true or false/],
    [[], /want a JSON object, got a list of 0/],
  ] as const) {
    test(`refuses ${JSON.stringify(value)}`, () => {
      expect(() => parse(value)).toThrow(reason);
    });
  }

  for (const name of ["", "default", "East", "a/b", "a".repeat(200)]) {
    test(`refuses the name ${JSON.stringify(name).slice(0, 40)}`, () => {
      expect(parsedOrRefused(() => parse({ id: 1 }, name))).toBeUndefined();
    });
  }

  test("reads back what encodeClusterConfig() writes", () => {
    fc.assert(
      fc.property(clusterConfig, (value) => {
        expect(parseClusterConfig(clusterConfigName(value), encodeClusterConfig(value))).toEqual(
          value,
        );
      }),
    );
  });

  test("gives an id within the width, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(clusterConfig.map(encodeClusterConfig)), (bytes) => {
        const parsed = parsedOrRefused(() => parseClusterConfig("east", bytes));
        if (parsed === undefined) return;
        const { id, maxConnectedClusters } = parsed.cluster;
        expect(id >= 1 && id <= maxConnectedClusters).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("cachedClusterConfig()", () => {
  test("says that canaries are written and the data is cached, and keeps the rest", () => {
    const cluster = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
    const capabilities = { ...OWN_CAPABILITIES, syncedCanaries: false };
    expect(cachedClusterConfig({ cluster, capabilities })).toEqual({
      cluster,
      capabilities: { ...OWN_CAPABILITIES, syncedCanaries: true, cached: true },
    });
  });
});

import { describe, expect, test } from "@jest/globals";
import {
  clusterServiceFromObject,
  isExported,
} from "../../../../apiserver/export/service-record.ts";
import type { ServiceObject } from "../../../../apiserver/source/objects.ts";
import { DEFAULT_SERVICE_SETTINGS } from "../../../../mesh/core/service.ts";
import { encodeService, parseService } from "../../../../mesh/kvstore/records/service.ts";

const CLUSTER = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const BACKENDS = new Map([
  ["10.1.0.5", new Map([["http", { protocol: "TCP" as const, port: 8080 }]])],
]);
const SERVICE: ServiceObject = {
  kind: "Service",
  namespace: "shop",
  name: "cart",
  labels: new Map([["app", "cart"]]),
  selector: new Map([["app", "cart"]]),
  clusterIps: ["10.96.0.1", "fd96::1"],
  families: [],
  ports: [{ name: "http", port: 80, protocol: "TCP", target: "web" }],
  publishNotReady: false,
  settings: { ...DEFAULT_SERVICE_SETTINGS, global: true },
};

describe("clusterServiceFromObject()", () => {
  for (const clusterIps of [SERVICE.clusterIps, []]) {
    test(`makes a record with ${clusterIps.length} frontends that every reader accepts`, () => {
      const record = clusterServiceFromObject(
        { ...SERVICE, clusterIps },
        { cluster: CLUSTER, answering: { backends: BACKENDS, leaving: new Map() } },
      );
      expect([...record.frontends.keys()]).toEqual(clusterIps);
      expect(parseService("shop/cart", encodeService(record), CLUSTER)).toEqual(record);
      expect("leaving" in record).toBe(false);
    });
  }

  test("names apart those that are leaving", () => {
    const answering = { backends: new Map(), leaving: BACKENDS };
    const record = clusterServiceFromObject(SERVICE, { cluster: CLUSTER, answering });
    expect(record).toMatchObject(answering);
    expect(parseService("shop/cart", encodeService(record), CLUSTER)).toEqual(record);
  });
});

describe("isExported()", () => {
  const cases: [boolean, boolean, boolean][] = [
    [true, true, true],
    [true, false, false],
    [false, true, false],
  ];
  for (const [global, shared, wanted] of cases) {
    test(`is ${wanted} for global=${global} shared=${shared}`, () => {
      const settings = { ...DEFAULT_SERVICE_SETTINGS, global, shared };
      expect(isExported({ ...SERVICE, settings })).toBe(wanted);
    });
  }
});

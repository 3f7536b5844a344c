import { describe, expect, test } from "@jest/globals";
import {
  endpointsFromPod,
  hasOwnAddresses,
  isBoundToNode,
  localPodFromPod,
} from "../../../../apiserver/export/endpoint-records.ts";
import type { PodObject } from "../../../../apiserver/source/objects.ts";
import { encodeEndpoint, parseEndpoint } from "../../../../mesh/kvstore/records/endpoint.ts";

const POD: PodObject = {
  kind: "Pod",
  namespace: "shop",
  name: "cart-0",
  labels: new Map(),
  serviceAccount: "robot",
  nodeName: "n1",
  hostNetwork: false,
  ips: ["10.1.0.5", "fd01::5"],
  ports: [
    { name: "http", port: 8080, protocol: "TCP" },
    { name: "", port: 9090, protocol: "TCP" },
  ],
  ready: false,
  terminating: false,
  finished: false,
};

describe("isBoundToNode()", () => {
  const cases: [string, Partial<PodObject>, boolean][] = [
    ["a pod of a node, before it has an address", { ips: [] }, true],
    ["a pod that waits for its node", { nodeName: "" }, false],
    ["a pod in its node's network", { hostNetwork: true }, false],
    ["a finished pod", { finished: true }, false],
  ];
  test.each(cases)("of %s", (_, fields, wanted) => {
    expect(isBoundToNode({ ...POD, ...fields })).toBe(wanted);
  });
});

test("localPodFromPod() keeps the ports that have names", () => {
  expect(localPodFromPod(POD, 65_600)).toEqual({
    namespace: "shop",
    name: "cart-0",
    identity: 65_600,
    namedPorts: [{ name: "http", port: 8080, protocol: "TCP" }],
  });
});

describe("hasOwnAddresses()", () => {
  const cases: [string, Partial<PodObject>, boolean][] = [
    ["a pod with addresses, ready or not", {}, true],
    ["a pod in its node's network", { hostNetwork: true }, false],
    ["a finished pod", { finished: true }, false],
    ["a pod without addresses yet", { ips: [] }, false],
  ];
  for (const [what, fields, wanted] of cases) {
    test(`is ${wanted} for ${what}`, () => {
      expect(hasOwnAddresses({ ...POD, ...fields })).toBe(wanted);
    });
  }
});

describe("endpointsFromPod()", () => {
  test("makes a record an address that every reader accepts", () => {
    const cluster = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
    const endpoints = endpointsFromPod(POD, { identity: 65_536, hostIp: "192.168.1.1" });
    expect(endpoints.map(({ prefix }) => prefix)).toEqual(POD.ips);
    expect(endpoints[0]?.namedPorts).toEqual([{ name: "http", port: 8080, protocol: "TCP" }]);
    for (const endpoint of endpoints) {
      expect(parseEndpoint(endpoint.prefix, encodeEndpoint(endpoint), cluster)).toEqual(endpoint);
    }
  });
});

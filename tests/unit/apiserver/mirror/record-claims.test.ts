import { describe, expect, test } from "@jest/globals";
import {
  claimsOfEndpoint,
  claimsOfNode,
  claimsOfOwnNode,
  claimsOfOwnService,
  claimsOfService,
} from "../../../../apiserver/mirror/record-claims.ts";
import { DEFAULT_SERVICE_SETTINGS } from "../../../../mesh/core/service.ts";
import { testNode, testService, WEST } from "../../../fakes/agent-cluster.ts";

const addresses = [
  { type: "InternalIP", ip: "192.168.1.1" },
  { type: "ExternalIP", ip: "203.0.113.1" },
] as const;

describe("claimsOfNode()", () => {
  test("names pod prefixes and internal addresses, not external ones", () => {
    const parts = { name: "n1", addresses: [], podPrefixes: ["10.2.0.0/24"] };
    const node = { ...testNode(WEST, parts), addresses };
    expect(claimsOfNode(node)).toEqual(["10.2.0.0/24", "192.168.1.1"]);
  });
});

describe("claimsOfEndpoint()", () => {
  test("names the address and its node, if it has one", () => {
    const endpoint = {
      prefix: "10.2.0.5",
      hostIp: "192.168.2.1",
      identity: 131_072,
      encryptionKey: 0,
      namespace: "shop",
      podName: "cart-0",
      serviceAccount: "default",
      namedPorts: [],
    };
    expect(claimsOfEndpoint(endpoint)).toEqual(["10.2.0.5", "192.168.2.1"]);
    expect(claimsOfEndpoint({ ...endpoint, hostIp: "" })).toEqual(["10.2.0.5"]);
  });
});

describe("claimsOfService()", () => {
  test("names backends and no frontends", () => {
    const service = {
      ...testService(WEST, {}),
      frontends: new Map([["10.96.0.1", new Map()]]),
      backends: new Map([["10.2.0.5", new Map()]]),
    };
    expect(claimsOfService(service)).toEqual(["10.2.0.5"]);
    const leaving = new Map([["10.2.0.6", new Map()]]);
    expect(claimsOfService({ ...service, leaving })).toEqual(["10.2.0.5", "10.2.0.6"]);
  });
});

describe("claimsOfOwnNode() and claimsOfOwnService()", () => {
  test("name pod prefixes, internal addresses and ClusterIPs", () => {
    const common = { labels: new Map<string, string>(), annotations: new Map<string, string>() };
    const node = { kind: "Node", name: "n1", podPrefixes: ["10.1.0.0/24"], bootId: "" } as const;
    expect(claimsOfOwnNode({ ...node, ...common, addresses })).toEqual([
      "10.1.0.0/24",
      "192.168.1.1",
    ]);
    expect(
      claimsOfOwnService({
        kind: "Service",
        namespace: "shop",
        name: "cart",
        labels: new Map(),
        selector: new Map(),
        clusterIps: ["10.96.0.1", "fd96::1"],
        families: [],
        ports: [],
        publishNotReady: false,
        settings: DEFAULT_SERVICE_SETTINGS,
      }),
    ).toEqual(["10.96.0.1", "fd96::1"]);
  });
});

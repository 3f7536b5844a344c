import { describe, expect, test } from "@jest/globals";
import type { ClusterIdentity } from "../../../../mesh/core/cluster.ts";
import { DEFAULT_SERVICE_SETTINGS, type ClusterService } from "../../../../mesh/core/service.ts";
import { readEtcdFacts, readServiceLosses } from "../../../../mesh/connect/etcd-facts.ts";
import {
  cacheWatchPrefix,
  clusterConfigKey,
  localServicesPrefix,
  stateWatchPrefix,
  versionKey,
} from "../../../../mesh/kvstore/keys.ts";
import {
  encodeClusterConfig,
  OWN_CAPABILITIES,
} from "../../../../mesh/kvstore/records/cluster-config.ts";
import { encodeLocalService } from "../../../../mesh/kvstore/records/local-service.ts";
import { encodeNode } from "../../../../mesh/kvstore/records/node.ts";
import { encodeService } from "../../../../mesh/kvstore/records/service.ts";
import { encodeVersion } from "../../../../mesh/kvstore/records/version.ts";
import type { ReadableStore } from "../../../../mesh/kvstore/store.ts";

const signal = new AbortController().signal;
const east: ClusterIdentity = { name: "east", id: 1, maxConnectedClusters: 255 };
const west: ClusterIdentity = { name: "west", id: 2, maxConnectedClusters: 255 };
const north: ClusterIdentity = { name: "north", id: 3, maxConnectedClusters: 255 };

/** Only what is read here: get and list over fixed contents, two keys a page. */
function storeOf(contents: Record<string, Buffer>): ReadableStore {
  const entries = Object.entries(contents)
    .map(([key, value]) => ({ key, value, revision: 1n }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    get: (key) => Promise.resolve(entries.find((entry) => entry.key === key)),
    list: async function* (prefix) {
      const found = entries.filter(({ key }) => key.startsWith(prefix));
      for (let i = 0; i < found.length; i += 2) {
        await Promise.resolve();
        yield found.slice(i, i + 2);
      }
    },
    watch: () => {
      throw new Error("not watched here");
    },
  };
}

function config(cluster: ClusterIdentity) {
  const value = encodeClusterConfig({ cluster, capabilities: OWN_CAPABILITIES });
  return { [clusterConfigKey(cluster.name)]: value };
}

function node(cluster: ClusterIdentity, podPrefix: string) {
  return encodeNode({
    cluster: cluster.name,
    clusterId: cluster.id,
    name: "n1",
    addresses: [{ type: "InternalIP", ip: "172.16.0.1" }],
    podPrefixes: [podPrefix],
    encryptionKey: 0,
    wireguardPublicKey: "",
    bootId: "",
    labels: new Map(),
    annotations: new Map(),
  });
}

function service(cluster: ClusterIdentity, name: string, backends: number): ClusterService {
  const ports = new Map([["http", { protocol: "TCP", port: 80 } as const]]);
  const addresses = Array.from({ length: backends }, (_, i) => `10.${cluster.id}.0.${i + 1}`);
  return {
    cluster: cluster.name,
    clusterId: cluster.id,
    namespace: "shop",
    name,
    frontends: new Map([[`10.100.${cluster.id}.1`, ports]]),
    backends: new Map(addresses.map((ip) => [ip, ports])),
    labels: new Map(),
    selector: new Map(),
    includeExternal: true,
    shared: true,
  };
}

function local(name: string, options: { backends: number; global: boolean }) {
  const settings = { ...DEFAULT_SERVICE_SETTINGS, global: options.global };
  return {
    [`${localServicesPrefix("east")}shop/${name}`]: encodeLocalService({
      service: service(east, name, options.backends),
      settings,
    }),
  };
}

function cached(cluster: ClusterIdentity, name: string, backends: number) {
  const key = `${cacheWatchPrefix("services", cluster.name)}shop/${name}`;
  return { [key]: encodeService(service(cluster, name, backends)) };
}

describe("readEtcdFacts()", () => {
  test("reads own and mirrored prefixes, ids and the version, and skips garbage", async () => {
    const store = storeOf({
      ...config(east),
      ...config(west),
      [clusterConfigKey("broken")]: Buffer.from("{"),
      [`${stateWatchPrefix("nodes", "east")}n1`]: node(east, "10.1.0.0/24"),
      [`${stateWatchPrefix("nodes", "east")}bad`]: Buffer.from("garbage"),
      [`${cacheWatchPrefix("nodes", "west")}n1`]: node(west, "10.2.0.0/24"),
      [versionKey("east")]: encodeVersion("0.1.0"),
    });
    expect(await readEtcdFacts(store, { cluster: east, signal })).toEqual({
      clusters: [east, west],
      prefixes: [
        { prefix: "10.1.0.0/24", cluster: "east", node: "n1" },
        { prefix: "10.2.0.0/24", cluster: "west", node: "n1" },
      ],
      encryption: ["none"],
      version: "0.1.0",
    });
  });

  test("makes do with an empty etcd", async () => {
    expect(await readEtcdFacts(storeOf({}), { cluster: east, signal })).toEqual({
      clusters: [],
      prefixes: [],
      encryption: [],
      version: "",
    });
  });
});

describe("readServiceLosses()", () => {
  test("counts what global services lose and keep, own and third clusters' backends", async () => {
    const store = storeOf({
      ...config(east),
      ...config(west),
      ...config(north),
      ...local("kept", { backends: 1, global: true }),
      ...local("third", { backends: 0, global: true }),
      ...local("last", { backends: 0, global: true }),
      ...local("private", { backends: 0, global: false }),
      ...cached(west, "kept", 2),
      ...cached(west, "third", 1),
      ...cached(north, "third", 3),
      ...cached(west, "last", 2),
      ...cached(west, "private", 2),
      ...cached(west, "elsewhere", 2),
    });
    expect(await readServiceLosses(store, { cluster: east, peer: "west", signal })).toEqual([
      { service: "shop/kept", lostBackends: 2, remainingBackends: 1 },
      { service: "shop/last", lostBackends: 2, remainingBackends: 0 },
      { service: "shop/third", lostBackends: 1, remainingBackends: 3 },
    ]);
  });
});

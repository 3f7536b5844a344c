// The keys of the reference, one by one: a peer that is not Tombolo looks for exactly these.
import { describe, expect, test } from "@jest/globals";
import {
  cacheWatchPrefix,
  CLUSTER_CONFIG_PREFIX,
  clusterConfigKey,
  EXPORTED_KINDS,
  HEARTBEAT_KEY,
  localIdentitiesPrefix,
  localIdentitiesSyncedKey,
  localServicesPrefix,
  configuredPeersPrefix,
  configuredPeersSyncedKey,
  localServicesSyncedKey,
  nodePodsPrefix,
  podsPrefix,
  podsSyncedKey,
  policiesPrefix,
  policiesSyncedKey,
  statePrefix,
  stateWatchPrefix,
  syncedKey,
  syncedWatchPrefix,
  versionKey,
} from "../../../../mesh/kvstore/keys.ts";

describe("stateWatchPrefix() and cacheWatchPrefix()", () => {
  for (const [kind, state, cache] of [
    ["nodes", "cilium/state/nodes/v1/east/", "cilium/cache/nodes/v1/east/"],
    ["services", "cilium/state/services/v1/east/", "cilium/cache/services/v1/east/"],
    ["identities", "cilium/state/identities/v1/id/", "cilium/cache/identities/v1/east/id/"],
    ["ip", "cilium/state/ip/v1/default/", "cilium/cache/ip/v1/east/"],
  ] as const) {
    test(`place ${kind} where Cilium does`, () => {
      expect(stateWatchPrefix(kind, "east")).toBe(state);
      expect(cacheWatchPrefix(kind, "east")).toBe(cache);
      expect(state.startsWith(`${statePrefix(kind)}/`)).toBe(true);
    });
  }
});

describe("syncedKey()", () => {
  test("names the prefix without its cluster, for the cached copy the cache's", () => {
    expect(syncedKey({ cluster: "east", kind: "ip", cached: false })).toBe(
      "cilium/synced/east/cilium/state/ip/v1",
    );
    expect(syncedKey({ cluster: "east", kind: "nodes", cached: true })).toBe(
      "cilium/synced/east/cilium/cache/nodes/v1",
    );
  });

  test("lies below syncedWatchPrefix() for every kind", () => {
    for (const kind of EXPORTED_KINDS) {
      for (const cached of [true, false]) {
        expect(syncedKey({ cluster: "east", kind, cached })).toContain(syncedWatchPrefix("east"));
      }
    }
    expect(localServicesSyncedKey("east")).toContain(syncedWatchPrefix("east"));
    expect(configuredPeersSyncedKey("east")).toBe("cilium/synced/east/tombolo/local/peers/v1");
  });
});

describe("single keys", () => {
  test("stand where Cilium's and Tombolo's readers look", () => {
    expect(HEARTBEAT_KEY).toBe("cilium/.heartbeat");
    expect(clusterConfigKey("east")).toBe("cilium/cluster-config/east");
    expect(clusterConfigKey("east")).toContain(CLUSTER_CONFIG_PREFIX);
    expect(versionKey("east")).toBe("tombolo/state/versions/v1/east");
    expect(localServicesPrefix("east")).toBe("tombolo/local/services/v1/east/");
    expect(configuredPeersPrefix("east")).toBe("tombolo/local/peers/v1/east/");
  });
});

test("policies and pods stand in the room of our own agents, pods below their node", () => {
  expect(policiesPrefix("east")).toBe("tombolo/local/policies/v1/east/");
  expect(policiesSyncedKey("east")).toBe("cilium/synced/east/tombolo/local/policies/v1");
  expect(localIdentitiesPrefix("east")).toBe("tombolo/local/identities/v1/east/");
  expect(localIdentitiesSyncedKey("east")).toBe("cilium/synced/east/tombolo/local/identities/v1");
  expect(podsPrefix("east")).toBe("tombolo/local/pods/v1/east/");
  expect(nodePodsPrefix({ cluster: "east", node: "east-1" })).toBe(
    "tombolo/local/pods/v1/east/east-1/",
  );
  expect(podsSyncedKey("east")).toBe("cilium/synced/east/tombolo/local/pods/v1");
});

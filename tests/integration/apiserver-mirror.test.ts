// Two real apiservers with real etcds and certificates that mirror each other: what arrives, what
// stays when one is gone, and what goes when a peer is removed.
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { rm } from "node:fs/promises";
import { openClusterAccess } from "../../mesh/connect/context-access.ts";
import { connectClusters } from "../../mesh/connect/connect.ts";
import { peerPaths } from "../../mesh/connect/connection-files.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createTestApiserver, smallCluster, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";

const signal = new AbortController().signal;
let east: TestApiserver;
let west: TestApiserver;

beforeAll(async () => {
  [east, west] = await Promise.all([
    createTestApiserver({ name: "east", id: 1 }),
    createTestApiserver({ name: "west", id: 2 }),
  ]);
  await east.manifest("cluster.yaml", smallCluster(1));
  await west.manifest("cluster.yaml", smallCluster(2));
  east.start();
  west.start();
  await Promise.all([east.ready(), west.ready()]);
  const ignore = (): void => {};
  await connectClusters(
    [east, west].map(({ name, directory }) =>
      openClusterAccess(
        { context: name, directory },
        { clock: systemClock, random: Math.random, log: silentLogger },
      ),
    ),
    {
      dryRun: false,
      clock: systemClock,
      signal,
      observer: {
        onFindings: ignore,
        onPlan: ignore,
        onStep: ignore,
        onProgress: ignore,
        onRollback: ignore,
      },
    },
  );
}, 120_000);

afterAll(async () => {
  await Promise.all([east.close(), west.close()]);
}, 60_000);

/** The cached contents without canaries, whose values are times. */
async function cacheOf(
  reader: TestApiserver,
  peer: string,
): Promise<Readonly<Record<string, string>>> {
  const contents = await reader.contents("cilium/cache/");
  return Object.fromEntries([...contents].filter(([key]) => key.includes(`/${peer}/`)));
}

function cachedKeyFrom(stateKey: string, cluster: string): string {
  return stateKey
    .replace("cilium/state/", "cilium/cache/")
    .replace("/identities/v1/id/", `/identities/v1/${cluster}/id/`)
    .replace("/ip/v1/default/", `/ip/v1/${cluster}/`);
}

describe("apiserver mirror", () => {
  test("holds the peer's state byte for byte under the cache keys", async () => {
    const state = [...(await west.contents("cilium/state/"))];
    expect(state.length).toBeGreaterThanOrEqual(7);
    const expected = state.map(([key, value]) => [cachedKeyFrom(key, "west"), value]);
    expect(await cacheOf(east, "west")).toEqual(Object.fromEntries(expected));
  });

  test("publishes the peer's config as cached, its canaries and its version", async () => {
    const contents = await east.contents();
    expect(JSON.parse(contents.get("cilium/cluster-config/west") ?? "")).toMatchObject({
      id: 2,
      capabilities: { syncedCanaries: true, cached: true, maxConnectedClusters: 255 },
    });
    for (const kind of ["nodes", "identities", "ip", "services"]) {
      expect(contents.has(`cilium/synced/west/cilium/cache/${kind}/v1`)).toBe(true);
    }
    await eventually(async () =>
      (await east.contents("tombolo/cache/")).has("tombolo/cache/versions/v1/west"),
    );
  });

  test("follows changes and deletions at the peer", async () => {
    await west.manifest("cluster.yaml", smallCluster(2, 3));
    await eventually(async () =>
      (await east.contents("cilium/cache/ip/")).has("cilium/cache/ip/v1/west/10.2.0.12"),
    );
    await west.manifest("cluster.yaml", smallCluster(2, 2));
    await eventually(
      async () =>
        !(await east.contents("cilium/cache/ip/")).has("cilium/cache/ip/v1/west/10.2.0.12"),
      // A deletion is believed once a heartbeat has been heard: within one interval.
      { limitMs: 90_000 },
    );
    // Kinds are mirrored side by side; the service may come after its endpoints.
    await eventually(async () => {
      const state = [...(await west.contents("cilium/state/"))];
      const expected = state.map(([key, value]) => [cachedKeyFrom(key, "west"), value]);
      return isDeepStrictEqual(await cacheOf(east, "west"), Object.fromEntries(expected));
    });
  }, 120_000);

  test("keeps the cache when the peer is gone, also after its own restart", async () => {
    const before = await cacheOf(east, "west");
    await west.kill("SIGTERM");
    await eventually(async () =>
      (await east.status()).peers.some(({ state }) => state !== "ready"),
    );
    expect(await cacheOf(east, "west")).toEqual(before);
    await east.kill("SIGTERM");
    east.start();
    await east.ready();
    const [peer] = (await east.status()).peers;
    expect(peer).toMatchObject({ name: "west", id: 2, synced: false });
    expect(await cacheOf(east, "west")).toEqual(before);
    const contents = await east.contents("cilium/");
    expect(contents.has("cilium/cluster-config/west")).toBe(true);
    expect(contents.has("cilium/synced/west/cilium/cache/ip/v1")).toBe(true);
    west.start();
    await eventually(async () => (await east.status()).peers.every(({ synced }) => synced), {
      limitMs: 60_000,
    });
    expect(await cacheOf(east, "west")).toEqual(before);
  }, 180_000);

  test("tells its agents which peers are configured, with their ids", async () => {
    const contents = await east.contents();
    const told = contents.get("tombolo/local/peers/v1/east/west") ?? "";
    expect(JSON.parse(told)).toEqual({ name: "west", id: 2 });
    expect(contents.has("cilium/synced/east/tombolo/local/peers/v1")).toBe(true);
  });

  test("takes everything of a removed peer away, its config first", async () => {
    const deleted: string[] = [];
    const watching = new AbortController();
    const watch = (async () => {
      for await (const batch of east.store.watch("cilium/", watching.signal)) {
        for (const event of batch) if (event.kind === "delete") deleted.push(event.key);
      }
    })();
    await rm(peerPaths(east.directory, "west").file);
    await eventually(async () => {
      const keys = [...(await east.contents()).keys()];
      return !keys.some((key) => key.includes("/west"));
    });
    await eventually(() => deleted.some((key) => key.startsWith("cilium/cache/")));
    watching.abort();
    await watch;
    expect(deleted[0]).toBe("cilium/cluster-config/west");
    const [canary, cache] = ["cilium/synced/", "cilium/cache/"].map((prefix) =>
      deleted.findIndex((key) => key.startsWith(prefix)),
    );
    expect(canary).toBeLessThan(cache ?? 0);
    expect((await east.status()).peers).toEqual([]);
  }, 60_000);
});

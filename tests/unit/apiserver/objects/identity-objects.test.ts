import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  createIdentityAllocator,
  IDLE_GRACE_MS,
  QUARANTINE_MS,
  type IdentityAllocator,
} from "../../../../apiserver/identity/allocator.ts";
import {
  createIdentityObjects,
  WRITE_INTERVAL_MS,
  type IdentityObjects,
} from "../../../../apiserver/objects/identity-objects.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { identityRange } from "../../../../mesh/core/identity.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const NOW = Date.UTC(2026, 0, 1);
const PATH = "/api/v1/namespaces/mesh/configmaps";
const never = new AbortController().signal;
const cluster = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const OWN = "k8s:io.cilium.k8s.policy.cluster=east";
const labels = (app: string): string[] => [`k8s:app=${app}`, OWN];

let api: MemoryKubernetes;
let clock: FakeClock;
let allocator: IdentityAllocator;
let objects: IdentityObjects;
let stop: () => Promise<void>;

beforeEach(() => {
  api = createMemoryKubernetes();
  clock = createFakeClock(NOW);
  allocator = createIdentityAllocator({
    range: identityRange(cluster.id, cluster.maxConnectedClusters),
    nowMs: clock.nowMs,
  });
  objects = open();
  stop = async () => {};
});

afterEach(() => stop());

function open(): IdentityObjects {
  const seams = { clock, random: () => 0.5, changed: () => {} };
  return createIdentityObjects({ ...seams, transport: api, namespace: "mesh" });
}

function start(): void {
  const abort = new AbortController();
  const running = objects.run({ cluster, allocator }, abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
}

interface StoredShard {
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
  readonly data: Readonly<Record<string, string>>;
}

const shard = (index: number): StoredShard | undefined =>
  api.objects.get(`${PATH}/tombolo-identities-${index}`) as StoredShard | undefined;

const soon = <T>(check: () => T): Promise<unknown> =>
  eventually(async () => {
    await clock.advance(WRITE_INTERVAL_MS);
    return check();
  });

const put = (index: number, data: object): void => {
  const metadata = {
    name: `tombolo-identities-${index}`,
    labels: { "tombolo.io/identities": "east" },
  };
  api.put(PATH, { metadata, data });
};

describe("createIdentityObjects()", () => {
  test("makes the shards that are used, and reads from them what another allocator had", async () => {
    start();
    allocator.assign("a", labels("a"));
    allocator.assign("b", labels("b"));
    await soon(() => shard(0)?.data["65537"] !== undefined);
    expect(shard(0)?.metadata.labels).toEqual({ "tombolo.io/identities": "east" });
    expect([...api.objects.keys()]).toEqual([`${PATH}/tombolo-identities-0`]);
    const state = await open().read(cluster, never);
    expect(state.identities).toEqual(allocator.state().identities);
  });

  test("writes what changes, one write for many changes of a shard, and no more", async () => {
    start();
    allocator.assign("a", labels("a"));
    await soon(() => shard(0) !== undefined);
    await clock.advance(5_000);
    const before = api.writes();
    for (let at = 0; at < 500; at++) allocator.assign(`p${at}`, labels(`p${at}`));
    await soon(() => Object.keys(shard(0)?.data ?? {}).length === 502);
    await clock.advance(300_000);
    expect(api.writes()).toBe(before + 1);
  });

  test("writes at most so many shards a second", async () => {
    for (let at = 0; at < 10 * 1_024; at++) allocator.assign(`p${at}`, labels(`p${at}`));
    start();
    await eventually(() => api.writes() === 1);
    await clock.advance(WRITE_INTERVAL_MS);
    await eventually(() => api.writes() === 2);
    await soon(() => api.writes() === 10);
  });

  test("a shard shrinks when its numbers rest and when they are free again", async () => {
    start();
    allocator.assign("a", labels("a"));
    allocator.assign("b", labels("b"));
    await soon(() => shard(0)?.data["65537"] !== undefined);
    allocator.release("a");
    await clock.advance(IDLE_GRACE_MS);
    allocator.collect();
    await soon(() => shard(0)?.data["retired-65536"] !== undefined);
    expect(shard(0)?.data["65536"]).toBeUndefined();
    await clock.advance(QUARANTINE_MS);
    allocator.collect();
    await clock.advance(60_000);
    await soon(() => shard(0)?.data["retired-65536"] === undefined);
    expect(Object.keys(shard(0)?.data ?? {})).toEqual(["65537", "next"]);
  });

  test("names what is damaged, sets it right, and says so for a while", async () => {
    put(0, { "65536": `${labels("a").join(";")};`, "65537": "{", "7": "x" });
    const state = await objects.read(cluster, never);
    expect(state.identities).toEqual([{ number: 65_536, labels: labels("a") }]);
    allocator.restore(state);
    const [problem] = objects.problems();
    expect(problem).toMatchObject({ kind: "ConfigMap", name: "tombolo-identities-0" });
    expect(problem?.message).toContain('Cannot use "65537"');
    expect(problem?.message).toContain('Cannot use "7"');
    start();
    await soon(() => shard(0)?.data["7"] === undefined);
    expect(Object.keys(shard(0)?.data ?? {}).sort()).toEqual(["65536", "retired-65537"]);
    await clock.advance(15 * 60_000);
    expect(objects.problems()).toEqual([]);
  });

  test("takes back what others do to a shard while it runs", async () => {
    start();
    allocator.assign("a", labels("a"));
    await soon(() => shard(0) !== undefined);
    await clock.advance(5_000);
    put(0, { "65536": "k8s:other=1;" });
    const metadata = { ...shard(0)?.metadata, namespace: "mesh", name: "tombolo-identities-0" };
    objects.apply({ kind: "put", object: { ...shard(0), metadata } });
    await soon(() => shard(0)?.data["65536"] === `${labels("a").join(";")};`);
    api.objects.delete(`${PATH}/tombolo-identities-0`);
    objects.apply({ kind: "delete", key: "mesh/tombolo-identities-0" });
    await soon(() => shard(0)?.data["65536"] !== undefined);
    api.objects.delete(`${PATH}/tombolo-identities-0`);
    objects.apply({ kind: "retain", keys: new Set() });
    await soon(() => shard(0)?.data["65536"] !== undefined);
  });

  test("a write that conflicts is made again, over what stands there now", async () => {
    start();
    allocator.assign("a", labels("a"));
    await soon(() => shard(0) !== undefined);
    put(0, { "65536": "k8s:other=1;" });
    allocator.assign("b", labels("b"));
    await soon(() => shard(0)?.data["65537"] !== undefined);
    expect(shard(0)?.data["65536"]).toBe(`${labels("a").join(";")};`);
    expect(objects.problems()).toEqual([]);
  });

  test("says that it cannot write, and writes when it can", async () => {
    let away = true;
    api.before = ({ method = "GET" }) => {
      if (away && method !== "GET") throw new MeshError("unavailable", "Cannot reach it");
    };
    start();
    allocator.assign("a", labels("a"));
    await soon(() => objects.problems().length > 0);
    expect(objects.problems()[0]?.message).toBe("Cannot keep identities: Cannot reach it");
    away = false;
    await soon(() => shard(0) !== undefined);
    await soon(() => objects.problems().length === 0);
  });

  test("writes at the end what was given out last", async () => {
    start();
    allocator.assign("a", labels("a"));
    await soon(() => shard(0) !== undefined);
    allocator.assign("b", labels("b"));
    await clock.settle();
    await stop();
    stop = async () => {};
    expect(shard(0)?.data["65537"]).toBeDefined();
  });

  test("rejects while the API is away", async () => {
    api.before = () => {
      throw new MeshError("unavailable", "Cannot reach it");
    };
    await expect(objects.read(cluster, never)).rejects.toMatchObject({ code: "unavailable" });
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createIdentityAllocator } from "../../../../apiserver/identity/allocator.ts";
import { restoreIdentities, type RestoreOptions } from "../../../../apiserver/identity/restore.ts";
import { identityRange } from "../../../../mesh/core/identity.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import {
  createMemoryStore,
  MemoryEtcd,
  type MemoryStore,
} from "../../../../mesh/kvstore/memory-store.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const signal = new AbortController().signal;
const clock = createFakeClock();
let root: string;
let store: MemoryStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-as-restore-"));
  store = createMemoryStore(new MemoryEtcd());
});

afterEach(async () => {
  store.close();
  await rm(root, { recursive: true });
});

function restore(kept?: RestoreOptions["kept"]) {
  const allocator = createIdentityAllocator({
    range: identityRange(1, 255),
    nowMs: clock.nowMs,
  });
  const done = restoreIdentities(
    {
      cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
      store,
      snapshotPath: join(root, "identities.json"),
      allocator,
      clock,
      random: () => 0,
      log: silentLogger,
      ...(kept === undefined ? {} : { kept }),
    },
    signal,
  );
  return { allocator, done };
}

const label = "k8s:app=cart";
const inEtcd = (number: number, value: string) =>
  store.commit(
    [{ kind: "put", key: `cilium/state/identities/v1/id/${number}`, value: Buffer.from(value) }],
    signal,
  );
const snapshot = (number: number) =>
  writeFile(
    join(root, "identities.json"),
    JSON.stringify({ next: 65_540, identities: [{ number, labels: [label] }], retired: [] }),
  );

describe("restoreIdentities()", () => {
  const own = `${label};k8s:io.cilium.k8s.policy.cluster=east;`;
  const ownLabels = [label, "k8s:io.cilium.k8s.policy.cluster=east"];

  test("takes numbers from etcd and leaves out what is not ours", async () => {
    await inEtcd(65_600, own);
    await inEtcd(131_072, own);
    await inEtcd(65_601, "garbage");
    const { allocator, done } = restore();
    await done;
    expect(allocator.counts().inUse).toBe(1);
    expect(allocator.assign("a", ownLabels)).toBe(65_600);
  });

  test("fills in from the snapshot, and goes without a broken one", async () => {
    await snapshot(65_700);
    const first = restore();
    await first.done;
    expect(first.allocator.assign("a", [label])).toBe(65_700);
    expect(first.allocator.assign("b", ["k8s:x=y"])).toBe(65_540);
    await writeFile(join(root, "identities.json"), "half");
    const second = restore();
    await second.done;
    expect(second.allocator.counts().inUse).toBe(0);
  });

  test("takes from what is kept elsewhere what neither etcd nor the snapshot has", async () => {
    await inEtcd(65_600, own);
    const row = (number: number, app: string) => ({ number, labels: [`k8s:app=${app}`] });
    const identities = [row(65_600, "stale"), row(65_601, "web")];
    const kept = { read: async () => ({ next: 65_700, identities, retired: [] }) };
    const first = restore(kept);
    await first.done;
    expect(first.allocator.assign("a", ownLabels)).toBe(65_600);
    expect(first.allocator.assign("b", ["k8s:app=web"])).toBe(65_601);
    expect(first.allocator.assign("c", ["k8s:app=new"])).toBe(65_700);
    await snapshot(65_601);
    const second = restore(kept);
    await second.done;
    expect(second.allocator.assign("a", [label])).toBe(65_601);
    expect(second.allocator.assign("b", ["k8s:app=new"])).toBe(65_540);
  });

  test("waits for it in a new directory, and for nothing where there is a snapshot", async () => {
    let away = true;
    const kept = {
      read: async () => {
        if (away) throw new Error("away");
        return { next: 0, identities: [{ number: 65_800, labels: [label] }], retired: [] };
      },
    };
    const waiting = restore(kept);
    await clock.advance(5_000);
    expect(waiting.allocator.counts().inUse).toBe(0);
    away = false;
    await clock.advance(60_000);
    await waiting.done;
    expect(waiting.allocator.assign("a", [label])).toBe(65_800);
    away = true;
    await snapshot(65_700);
    const restarted = restore(kept);
    await restarted.done;
    expect(restarted.allocator.assign("a", [label])).toBe(65_700);
  });

  test("takes also those that peers do not hear of", async () => {
    const key = "tombolo/local/identities/v1/east/65601";
    await store.commit([{ kind: "put", key, value: Buffer.from(own) }], signal);
    const { allocator, done } = restore();
    await done;
    expect(allocator.assign("a", ownLabels)).toBe(65_601);
  });

  test("waits for etcd", async () => {
    await inEtcd(65_600, own);
    store.disconnect();
    const { allocator, done } = restore();
    await clock.advance(5_000);
    expect(allocator.counts().inUse).toBe(0);
    store.reconnect();
    await clock.advance(60_000);
    await done;
    expect(allocator.counts().inUse).toBe(1);
  });
});

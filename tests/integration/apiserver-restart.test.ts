// What an apiserver and its etcd survive: kill -9, a broken manifest, an emptied etcd. Nothing
// that readers can see may be deleted or renumbered by any of it.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createTestApiserver, smallCluster, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";

let east: TestApiserver;

beforeAll(async () => {
  east = await createTestApiserver({ name: "east", id: 1 });
  await east.manifest("cluster.yaml", smallCluster(1));
  east.start();
  await east.ready();
}, 120_000);

afterAll(() => east.close(), 60_000);

/** Contents without what is a time: heartbeat and canaries. */
async function timelessContents(): Promise<[string, string][]> {
  const contents = [...(await east.contents())];
  return contents.filter(([key]) => !/^cilium\/(synced\/|\.heartbeat)/.test(key));
}

/** Records deletions below both prefixes while `work` runs. */
async function deletionsDuring(work: () => Promise<void>): Promise<string[]> {
  const deleted: string[] = [];
  const watching = new AbortController();
  const watches = ["cilium/", "tombolo/"].map(async (prefix) => {
    for await (const batch of east.store.watch(prefix, watching.signal)) {
      for (const event of batch) if (event.kind === "delete") deleted.push(event.key);
    }
  });
  await work();
  watching.abort();
  await Promise.all(watches);
  return deleted;
}

describe("apiserver", () => {
  test("answers health, readiness and metrics", async () => {
    const get = (path: string) => fetch(`http://127.0.0.1:${east.healthPort}${path}`);
    expect((await get("/healthz")).status).toBe(200);
    expect(await (await get("/readyz")).text()).toBe("ok\n");
    expect(await (await get("/metrics")).text()).toContain(
      'tombolo_apiserver_export_rows{kind="ip",state="applied"} 4',
    );
    expect((await get("/other")).status).toBe(404);
  });

  test("adopts the etcd of a killed apiserver and changes no key", async () => {
    const [before, pid] = [await timelessContents(), await east.etcdPid()];
    const deleted = await deletionsDuring(async () => {
      await east.kill("SIGKILL");
      east.start();
      await east.ready();
    });
    expect(await east.etcdPid()).toBe(pid);
    expect((await east.status()).etcd).toMatchObject({ state: "adopted", pid });
    expect(deleted).toEqual([]);
    expect(await timelessContents()).toEqual(before);
  }, 120_000);

  test("starts a killed etcd again on its data", async () => {
    const [before, pid] = [await timelessContents(), await east.etcdPid()];
    process.kill(pid, "SIGKILL");
    await eventually(async () => (await east.etcdPid()) !== pid, { limitMs: 60_000 });
    await eventually(async () => (await east.contents()).size > 0, { limitMs: 60_000 });
    expect(await timelessContents()).toEqual(before);
    expect((await east.status()).etcd).toMatchObject({ state: "running", restarts: 1 });
  }, 120_000);

  test("keeps a broken manifest's last good state, also over a restart", async () => {
    const before = await timelessContents();
    await east.manifest("cluster.yaml", `${smallCluster(1)}---\nkind: [\n`);
    await eventually(async () => (await east.status()).source?.problems.length === 1);
    expect((await east.status()).source?.problems).toMatchObject([
      { severity: "error", file: "cluster.yaml", message: expect.stringContaining("YAML") },
    ]);
    await east.manifest("more.yaml", smallCluster(1).replaceAll(/: (n1|shop)\b/g, ": $1-2"));
    await eventually(async () => (await east.contents()).has("cilium/state/nodes/v1/east/n1-2"));
    await east.manifest("more.yaml", "");
    await eventually(async () => !(await east.contents()).has("cilium/state/nodes/v1/east/n1-2"));
    await east.kill("SIGTERM");
    east.start();
    await east.ready();
    const keys = (await timelessContents()).map(([key]) => key);
    expect(keys).toEqual(expect.arrayContaining(before.map(([key]) => key)));
    await east.manifest("cluster.yaml", smallCluster(1));
    await eventually(async () => (await east.status()).source?.problems.length === 0);
  }, 120_000);

  test("keeps identity numbers when etcd was emptied", async () => {
    const before = await east.contents("cilium/state/ip/");
    await east.kill("SIGTERM");
    await rm(join(east.directory, "etcd"), { recursive: true });
    // Another order of pods would number them anew, if numbers were not remembered.
    await east.manifest("a.yaml", podWithLabel("first"));
    east.start();
    await east.ready();
    const after = await east.contents("cilium/state/ip/");
    for (const [key, value] of before) expect(after.get(key)).toBe(value);
    const numbers = [...after.values()].map((value) => (JSON.parse(value) as { ID: number }).ID);
    expect(new Set(numbers).size).toBe(2);
  }, 120_000);

  test("refuses a second apiserver on the same directory", async () => {
    const { status, said } = await east.runSecond();
    expect(status).toBe(1);
    expect(said).toContain(`Cannot start the apiserver: one runs on "${east.directory}"`);
    expect((await east.status()).ready).toBe(true);
  }, 60_000);
});

function podWithLabel(app: string): string {
  return `apiVersion: v1
kind: Pod
metadata: {name: a-${app}, namespace: shop, labels: {app: ${app}}}
spec: {nodeName: n1}
status: {podIP: 10.1.0.99}
`;
}

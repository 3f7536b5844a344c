// What goes wrong around an apiserver that lives: it is cut off while its peer's etcd forgets, has
// no descriptors left, is killed in the middle of an export, loses its manifests. Nothing may be
// deleted that was not taken away, and nothing stay behind once it is over (invariant 2).
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { writeReaders } from "../../mesh/connect/connection-files.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import {
  createTestApiserver,
  installPeer,
  smallCluster,
  type TestApiserver,
} from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTcpProxy, type TcpProxy } from "../fakes/proxy.ts";

const LIMIT_MS = 180_000;
let east: TestApiserver;
let west: TestApiserver;
let proxy: TcpProxy;

beforeAll(async () => {
  [east, west] = await Promise.all([
    createTestApiserver({ name: "east", id: 1 }),
    createTestApiserver({ name: "west", id: 2 }),
  ]);
  proxy = await startTcpProxy({ targetPort: Number(new URL(west.etcdEndpoint).port) });
  await east.manifest("cluster.yaml", smallCluster(1));
  await west.manifest("cluster.yaml", smallCluster(2, 3));
  await writeReaders(west.directory, ["east"]);
  const etcdEndpoint = `https://127.0.0.1:${proxy.port}`;
  await installPeer(east, { name: "west", directory: west.directory, etcdEndpoint });
  east.start();
  west.start();
  await Promise.all([east.ready(), west.ready()]);
  await eventually(inSync, { limitMs: LIMIT_MS });
}, LIMIT_MS);

afterAll(async () => {
  await Promise.all([east.close(), west.close()]);
  await proxy.close();
}, LIMIT_MS);

async function inSync(): Promise<boolean> {
  const [peer] = (await east.status()).peers;
  return peer?.synced === true && peer.state === "ready";
}

/** Name → identity number of every endpoint address below a prefix. */
async function addresses(of: TestApiserver, prefix: string): Promise<Map<string, number>> {
  const found = [...(await of.contents(prefix))].map(([key, value]): [string, number] => [
    key.slice(prefix.length),
    (JSON.parse(value) as { ID: number }).ID,
  ]);
  return new Map(found);
}

const own = (of: TestApiserver) => addresses(of, "cilium/state/ip/v1/default/");
const mirrored = () => addresses(east, "cilium/cache/ip/v1/west/");

/** Keys that are deleted from east's etcd while `work` runs, canaries left out. */
async function deletionsDuring(work: () => Promise<void>): Promise<string[]> {
  const deleted: string[] = [];
  const watching = new AbortController();
  const watches = ["cilium/state/", "cilium/cache/", "tombolo/"].map(async (prefix) => {
    for await (const batch of east.store.watch(prefix, watching.signal)) {
      for (const event of batch) if (event.kind === "delete") deleted.push(event.key);
    }
  });
  try {
    await work();
  } finally {
    watching.abort();
    await Promise.all(watches);
  }
  return deleted.sort();
}

describe("a mirror that is cut off while its peer's etcd is compacted", () => {
  test(
    "applies exactly what it missed",
    async () => {
      const deleted = await deletionsDuring(async () => {
        await proxy.refuse();
        await eventually(async () => !(await inSync()));
        await west.manifest("cluster.yaml", smallCluster(2, 2));
        await west.manifest("more.yaml", podManifest("more", "10.2.0.77"));
        await eventually(async () => {
          const there = await own(west);
          return there.has("10.2.0.77") && !there.has("10.2.0.12");
        });
        await west.compact();
        expect((await mirrored()).has("10.2.0.12")).toBe(true);
        await proxy.pass();
        await eventually(
          async () => {
            const there = await mirrored();
            return there.has("10.2.0.77") && !there.has("10.2.0.12");
          },
          { limitMs: LIMIT_MS },
        );
        // The watch on our own etcd has seen it, too.
        await eventually(inSync, { limitMs: LIMIT_MS });
      });
      expect(deleted.filter((key) => !key.includes("/ip/"))).toEqual([]);
      expect(deleted.length).toBeLessThanOrEqual(2);
      expect(await mirrored()).toEqual(await own(west));
    },
    LIMIT_MS,
  );
});

describe("an apiserver without file descriptors", () => {
  test(
    "loses nothing, and takes what has changed once it has some again",
    async () => {
      const pid = east.pid();
      const before = await own(east);
      const deleted = await deletionsDuring(async () => {
        const unlimited = descriptorLimit(pid);
        // All that are open stay open; not one more can be opened.
        limitDescriptors(pid, (await readdir(`/proc/${pid}/fd`)).length);
        try {
          await east.manifest("more.yaml", podManifest("more", "10.1.0.77"));
          await west.manifest("most.yaml", podManifest("most", "10.2.0.78"));
          await eventually(async () => /EMFILE|too many open files/i.test(await east.log()));
          for (const key of before.keys()) expect([...(await own(east)).keys()]).toContain(key);
        } finally {
          execFileSync("prlimit", ["--pid", String(pid), `--nofile=${unlimited}`]);
        }
        await eventually(async () => (await own(east)).has("10.1.0.77"), { limitMs: LIMIT_MS });
        await eventually(async () => (await mirrored()).has("10.2.0.78"), { limitMs: LIMIT_MS });
        await eventually(async () => (await east.status()).source?.problems.length === 0);
      });
      expect(deleted).toEqual([]);
      await east.ready();
      expect(process.kill(pid, 0)).toBe(true);
    },
    LIMIT_MS,
  );
});

describe("a manifests directory that disappears", () => {
  test(
    "and returns, empty at first, deletes nothing and renumbers nothing",
    async () => {
      const before = await own(east);
      const { manifests } = clusterPaths(east.directory);
      const deleted = await deletionsDuring(async () => {
        await rename(manifests, `${manifests}-away`);
        await eventually(async () => (await problems()).includes("Cannot read manifests"));
        await mkdir(manifests);
        await eventually(async () => (await problems()).includes("Cannot believe manifests"));
        expect(await own(east)).toEqual(before);
        await rm(manifests, { recursive: true });
        await rename(`${manifests}-away`, manifests);
        await eventually(async () => (await problems()) === "", { limitMs: LIMIT_MS });
      });
      expect(deleted).toEqual([]);
      expect(await own(east)).toEqual(before);
    },
    LIMIT_MS,
  );
});

describe("kill -9 in the middle of an export", () => {
  test(
    "leaves what the next one completes, with the same identity numbers",
    async () => {
      const count = 2_000;
      const pods = Array.from({ length: count }, (_, i) =>
        podManifest(`p${i}`, `10.1.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`),
      );
      const before = await own(east);
      await east.manifest("many.yaml", pods.join("---\n"));
      const half = await eventually(
        async () => {
          const there = await own(east);
          return there.size > before.size ? there : undefined;
        },
        { limitMs: LIMIT_MS },
      );
      await east.kill("SIGKILL");
      east.start();
      await east.ready();
      await eventually(async () => (await own(east)).size === before.size + count, {
        limitMs: LIMIT_MS,
      });
      const after = await own(east);
      for (const [address, number] of half)
        expect([address, after.get(address)]).toEqual([address, number]);
      // One set of labels each, so one number each.
      const numbers = pods.map((_, i) =>
        after.get(`10.1.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`),
      );
      expect(new Set(numbers).size).toBe(count);
      await eventually(inSync, { limitMs: LIMIT_MS });
    },
    LIMIT_MS,
  );
});

async function problems(): Promise<string> {
  return ((await east.status()).source?.problems ?? []).map(({ message }) => message).join();
}

function podManifest(name: string, address: string): string {
  return `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}}}
spec: {nodeName: n1}
status: {podIP: ${address}}
`;
}

function descriptorLimit(pid: number): string {
  const words = ["--pid", String(pid), "--nofile", "--output=SOFT,HARD", "--noheadings"];
  const [soft = "", hard = ""] = execFileSync("prlimit", words, { encoding: "utf8" })
    .trim()
    .split(/\s+/);
  return `${soft}:${hard}`;
}

/** The soft limit only, so that it can be raised again. */
function limitDescriptors(pid: number, count: number): void {
  execFileSync("prlimit", ["--pid", String(pid), `--nofile=${count}:`]);
}

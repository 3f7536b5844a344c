import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  createManifestSource,
  type ManifestSource,
} from "../../../../../apiserver/source/manifests/directory.ts";
import { createLastGood } from "../../../../../apiserver/source/manifests/last-good.ts";
import { createSource, type WritableSource } from "../../../../../apiserver/source/objects.ts";
import { systemClock, type Clock } from "../../../../../mesh/core/clock.ts";
import { isMeshError } from "../../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../../mesh/core/logger.ts";
import { eventually } from "../../../../fakes/eventually.ts";

let root: string;
let source: WritableSource;
let manifests: ManifestSource;
let stop: () => Promise<void>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-as-manifests-"));
  await rm(join(root, "m"), { recursive: true, force: true });
});

afterEach(async () => {
  await stop();
  await rm(root, { recursive: true });
});

const file = (name: string): string => join(root, name);
const namespace = (name: string): string =>
  `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n---\n`;
const names = (): string[] => [...source.Namespace.entries()].map(([key]) => key).sort();

async function start(clock = systemClock): Promise<void> {
  launch(clock);
  await eventually(() => source.EndpointSlice.synced);
}

/** Long waits pass in little time; whether something has come to rest is then harder to tell. */
const fastClock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * 20,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
};

function launch(clock = systemClock): void {
  source = createSource();
  manifests = createManifestSource({
    directory: root,
    source,
    lastGood: createLastGood(join(root, "last-good")),
    clock,
    log: silentLogger,
  });
  const abort = new AbortController();
  const running = manifests.run(abort.signal).catch((error: unknown) => {
    if (!isMeshError(error, "aborted")) throw error;
  });
  stop = async () => {
    abort.abort();
    await running;
  };
}

describe("createManifestSource()", () => {
  test("run() goes on when last good texts cannot be kept", async () => {
    await writeFile(file("last-good"), "a file where the directory should be");
    await writeFile(file("a.yaml"), namespace("a"));
    launch(fastClock);
    await eventually(() => manifests.status().problems.length === 1);
    expect(manifests.status().problems[0]?.message).toContain("Cannot follow manifests directory");
    await rm(file("last-good"));
    await eventually(() => source.Namespace.synced && manifests.status().problems.length === 0);
    expect(names()).toEqual(["a"]);
  });

  test("run() reads what is there, and only manifests, before it is synced", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await writeFile(
      file("b.json"),
      '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}',
    );
    for (const other of [".a.yaml.swp", "#a.yaml#", "a.yaml~", "notes.txt"]) {
      await writeFile(file(other), namespace("wrong"));
    }
    await start();
    expect(names()).toEqual(["a", "b"]);
    expect(manifests.status()).toEqual({ files: 2, problems: [] });
  });

  test("run() follows changes, new files and removals", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await start();
    await writeFile(file("a.yaml"), namespace("a2"));
    await writeFile(file("b.yaml"), namespace("b"));
    await eventually(() => names().join() === "a2,b");
    await rm(file("b.yaml"));
    await eventually(() => names().join() === "a2");
  });

  test("run() keeps a broken file's last good state and the other files' changes", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await start();
    await writeFile(file("a.yaml"), "kind: [");
    await eventually(() => manifests.status().problems.length === 1);
    await writeFile(file("b.yaml"), namespace("b"));
    await eventually(() => names().join() === "a,b");
    await stop();
    await start();
    expect(names()).toEqual(["a", "b"]);
    expect(manifests.status().problems).toMatchObject([{ severity: "error", file: "a.yaml" }]);
    await rm(file("a.yaml"));
    await eventually(() => names().join() === "b");
  });

  test("run() forgets the last good state of a file that went while it was not running", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await writeFile(file("b.yaml"), namespace("b"));
    await start();
    await stop();
    await rm(file("a.yaml"));
    await start();
    await stop();
    await writeFile(file("a.yaml"), "kind: [");
    await start();
    expect(names()).toEqual(["b"]);
  });

  test("run() sees no removal in a rename dance", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await start();
    const seen: string[][] = [];
    const watching = new AbortController();
    const watch = (async () => {
      for await (const _ of source.Namespace.changes(watching.signal)) seen.push(names());
    })();
    await rename(file("a.yaml"), file("a.yaml~"));
    await writeFile(file("a.yaml"), namespace("a") + namespace("b"));
    await eventually(() => names().join() === "a,b");
    watching.abort();
    await watch;
    expect(seen.every((state) => state.includes("a"))).toBe(true);
  });

  test("run() takes a directory that is gone for a problem, not for a deletion", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await start();
    await rename(root, `${root}-away`);
    await eventually(() => manifests.status().problems.length === 1);
    expect(names()).toEqual(["a"]);
    expect(manifests.status().problems[0]?.message).toContain("Cannot read manifests directory");
    await rename(`${root}-away`, root);
  });

  test("run() takes an empty directory in its place for a problem, not for a deletion", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await writeFile(file("b.yaml"), namespace("b"));
    await start();
    await rename(root, `${root}-away`);
    await mkdir(root);
    await eventually(() => manifests.status().problems.length === 1);
    expect(names()).toEqual(["a", "b"]);
    expect(manifests.status().problems[0]?.message).toContain("Cannot believe manifests directory");
    // It is filled again, with a pause between two files, and one of them has changed.
    await writeFile(file("b.yaml"), namespace("b2"));
    await eventually(() => names().includes("b2"));
    expect(names()).toEqual(["a", "b2"]);
    await writeFile(file("a.yaml"), namespace("a"));
    await eventually(() => manifests.status().problems.length === 0);
    expect(names()).toEqual(["a", "b2"]);
    await rm(`${root}-away`, { recursive: true });
  });

  test("run() believes what another directory lacks once it has come to rest", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await writeFile(file("b.yaml"), namespace("b"));
    await start(fastClock);
    await rename(root, `${root}-away`);
    await mkdir(root);
    await writeFile(file("a.yaml"), namespace("a"));
    await eventually(() => names().join() === "a");
    await rm(`${root}-away`, { recursive: true });
  });

  test("run() waits for a directory that was emptied while it was not running", async () => {
    await writeFile(file("a.yaml"), namespace("a"));
    await start();
    await stop();
    await rm(file("a.yaml"));
    launch();
    await eventually(() => manifests.status().problems.length === 1);
    expect(source.Namespace.synced).toBe(false);
    await writeFile(file("a.yaml"), namespace("a2"));
    await eventually(() => source.Namespace.synced);
    expect(names()).toEqual(["a2"]);
  });

  test("run() closes what policies of a file that was never whole are about", async () => {
    const policy = (name: string, spec: string): string =>
      `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
    const closed = (): string[] => [...source.NetworkPolicy.entries()].map(([key]) => key).sort();
    await writeFile(file("a.yaml"), policy("a", "5") + policy("b", "{podSelector: {}}"));
    await start(fastClock);
    expect(closed()).toEqual(["default/a", "default/b"]);
    await writeFile(file("a.yaml"), policy("c", "5"));
    await eventually(() => closed().join() === "default/c");
    await writeFile(file("a.yaml"), policy("d", "{podSelector: {}}"));
    await eventually(() => closed().join() === "default/d");
    // From here on there is a last good state, which stays.
    await writeFile(file("a.yaml"), policy("e", "5"));
    await eventually(() => manifests.status().problems.length === 1);
    expect(closed()).toEqual(["default/d"]);
  });
});

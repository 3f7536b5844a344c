import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createArchiveStore, type ArchiveStore } from "../../../../deploy/images/archive-store.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-archives-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

function openStore(
  options: { readonly onWait?: () => void; readonly signal?: AbortSignal } = {},
): ArchiveStore {
  const { onWait = () => {}, signal = new AbortController().signal } = options;
  return createArchiveStore({ directory, clock: systemClock, signal, onWait });
}

test("makes a file once, and finds it from then on", async () => {
  const store = openStore();
  expect(await store.find("tombolo-1.tar")).toBeUndefined();
  const path = await store.ensure("tombolo-1.tar", (made) => writeFile(made, "whole"));
  expect(await readFile(path, "utf8")).toBe("whole");
  const again = await store.ensure("tombolo-1.tar", () => Promise.reject(new Error("made twice")));
  expect(again).toBe(path);
  expect(await store.find("tombolo-1.tar")).toBe(path);
});

test("leaves nothing of what failed half way", async () => {
  const store = openStore();
  const failing = store.ensure("tombolo-1.tar", async (made, work) => {
    await writeFile(made, "ha");
    await mkdir(join(work, "storage"));
    throw new Error("full disk");
  });
  await expect(failing).rejects.toThrow("full disk");
  expect(await readdir(directory)).toEqual([]);
});

test("removes what a process left that was killed", async () => {
  await mkdir(join(directory, "work-old/storage"), { recursive: true });
  await openStore().ensure("tombolo-1.tar", (made) => writeFile(made, "whole"));
  expect(await readdir(directory)).toEqual(["tombolo-1.tar"]);
});

test("lets one build at a time, and the second finds what the first has made", async () => {
  const began = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const waits = Promise.withResolvers<void>();
  const first = openStore().ensure("tombolo-1.tar", async (made) => {
    began.resolve();
    await goOn.promise;
    await writeFile(made, "first");
  });
  await began.promise;
  const second = openStore({ onWait: () => waits.resolve() }).ensure("tombolo-1.tar", (made) =>
    writeFile(made, "second"),
  );
  await waits.promise;
  goOn.resolve();
  expect(await second).toBe(await first);
  expect(await readFile(await first, "utf8")).toBe("first");
});

test("stops waiting when it is aborted", async () => {
  const abort = new AbortController();
  const goOn = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const first = openStore().ensure("tombolo-1.tar", async (made) => {
    began.resolve();
    await goOn.promise;
    await writeFile(made, "first");
  });
  await began.promise;
  const second = openStore({ signal: abort.signal, onWait: () => abort.abort() }).ensure(
    "tombolo-1.tar",
    (made) => writeFile(made, "second"),
  );
  await expect(second).rejects.toMatchObject({ code: "aborted" });
  goOn.resolve();
  await first;
});

test("keeps what was used last, of its kind only", async () => {
  const names = ["tombolo-1.tar", "tombolo-2.tar", "tombolo-3.tar", "tombolo-lab-1.tar"];
  for (const [i, name] of names.entries()) {
    await writeFile(join(directory, name), "");
    await utimes(join(directory, name), i, i);
  }
  await mkdir(join(directory, "base-1"));
  const store = openStore();
  await store.find("tombolo-1.tar");
  await store.keepNewest("tombolo-", 2);
  expect(await readdir(directory)).toEqual([
    "base-1",
    "tombolo-1.tar",
    "tombolo-3.tar",
    "tombolo-lab-1.tar",
  ]);
});

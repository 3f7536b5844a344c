import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPopulated, listProcesses, removeCgroup } from "../../../../deploy/lab/cgroups.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

let root: string;

// Plain directories with the files that the kernel would show; tests/e2e has the real ones.
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-cgroups-"));
  await mkdir(join(root, "node", "pods"), { recursive: true });
  await writeFile(join(root, "cgroup.events"), "populated 1\nfrozen 0\n");
  await writeFile(join(root, "cgroup.procs"), "");
  await writeFile(join(root, "node", "cgroup.procs"), "12\n13\n");
  await writeFile(join(root, "node", "pods", "cgroup.procs"), "14\n");
});
afterAll(() => rm(root, { recursive: true }));

describe("isPopulated()", () => {
  test("reads the kernel's word for it; what does not exist is empty", async () => {
    expect(await isPopulated(root)).toBe(true);
    expect(await isPopulated(join(root, "missing"))).toBe(false);
  });
});

describe("listProcesses()", () => {
  test("finds those of every level", async () => {
    expect(new Set(await listProcesses(root))).toEqual(new Set([12, 13, 14]));
  });
});

describe("removeCgroup()", () => {
  test("takes a cgroup that is not there for removed", async () => {
    const options = { clock: systemClock, signal: new AbortController().signal };
    await expect(removeCgroup(join(root, "missing"), options)).resolves.toBeUndefined();
  });
});

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createCgroupsV1,
  findCgroupV1,
  removeCgroupsV1,
} from "../../../../../deploy/lab/kubernetes/cgroup-v1.ts";
import { systemClock } from "../../../../../mesh/core/clock.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-v1-"));
});
afterAll(() => rm(root, { recursive: true }));

describe("findCgroupV1()", () => {
  test("finds every hierarchy once, and leaves cgroup2 out", () => {
    const mountinfo = [
      "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
      "33 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:1 - cgroup2 cgroup2 rw",
      "42 31 0:39 / /tmp rw - tmpfs cgroup rw",
      "",
    ].join("\n");
    expect(findCgroupV1(mountinfo)).toEqual(["/sys/fs/cgroup/cpu"]);
    expect(findCgroupV1("")).toEqual([]);
  });
});

describe("createCgroupsV1()", () => {
  test("gives a cpuset what its parent has", async () => {
    const hierarchies = ["cpuset", "memory"].map((name) => join(root, name));
    for (const path of hierarchies) await mkdir(path);
    await writeFile(join(root, "cpuset", "cpuset.cpus"), "0-1\n");
    await createCgroupsV1("lab-node", hierarchies);
    const cpus = await readFile(join(root, "cpuset", "lab-node", "cpuset.cpus"), "utf8");
    expect(cpus).toBe("0-1\n");
    expect(await readdir(join(root, "memory", "lab-node"))).toEqual([]);
  });
});

describe("removeCgroupsV1()", () => {
  test("removes what carries the name, and nothing else", async () => {
    const hierarchy = join(root, "pids");
    for (const name of ["tombolo-lab-a/pods/one", "tombolo-lab2-a", "other"]) {
      await mkdir(join(hierarchy, name), { recursive: true });
    }
    const { signal } = new AbortController();
    const options = { hierarchies: [hierarchy], clock: systemClock, signal };
    await removeCgroupsV1("tombolo-lab-", options);
    expect((await readdir(hierarchy)).sort()).toEqual(["other", "tombolo-lab2-a"]);
  });
});

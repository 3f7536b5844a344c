// The lab's directories in the cgroup v1 hierarchies. Where there are any, runc makes a cgroup in
// each of them for every container; all of a node's lie below one directory that carries the lab's
// name, so that they are found when every process is dead.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../mesh/core/clock.ts";
import { removeEmptyCgroup } from "../cgroups.ts";

const CPUSET_FILES = ["cpuset.cpus", "cpuset.mems"];

/** Mount points; none on a machine that has cgroup2 only. `mountinfo` is /proc/self/mountinfo. */
export function findCgroupV1(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): string[] {
  const points = mountinfo.split("\n").flatMap((line) => {
    const [mount = "", type = ""] = line.split(" - ");
    const point = mount.split(" ")[4];
    return type.startsWith("cgroup ") && point !== undefined ? [point] : [];
  });
  return [...new Set(points)].sort();
}

export async function createCgroupsV1(name: string, hierarchies: readonly string[]): Promise<void> {
  await Promise.all(
    hierarchies.map(async (root) => {
      await mkdir(join(root, name), { recursive: true });
      // A new cpuset has no processor and no memory, and can hold nobody until it is given some.
      for (const file of CPUSET_FILES) await inherit(file, { from: root, to: join(root, name) });
    }),
  );
}

/** Every directory that begins with `prefix`, in every hierarchy; their processes must have ended. */
export async function removeCgroupsV1(
  prefix: string,
  {
    hierarchies,
    ...options
  }: { hierarchies: readonly string[]; clock: Clock; signal: AbortSignal },
): Promise<void> {
  for (const root of hierarchies) {
    const names = (await readdir(root)).filter((name) => name.startsWith(prefix));
    await Promise.all(names.map((name) => removeEmptyCgroup(join(root, name), options)));
  }
}

async function inherit(file: string, { from, to }: { from: string; to: string }): Promise<void> {
  try {
    await writeFile(join(to, file), await readFile(join(from, file), "utf8"));
  } catch (error) {
    // Only one of the hierarchies has these files.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

// The lab's part of the cgroup2 tree. Everything the lab starts lives below one directory, so
// that one write ends all of it, whoever started it and whether its parents live.
//
//   tombolo-LAB/
//     east-control/apiserver     apiserver and its etcd
//     east-node1/agent           outside of `pods`: daemons' own connections are not balanced
//     east-node1/pods/NS.POD     the agent's socket programs are attached to `pods`
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";

/** Ending processes takes milliseconds; a process stuck in the kernel should be named, not awaited. */
const KILL_LIMIT_MS = 15_000;
const POLL_MS = 10;

/** With those above it; throws `unsupported` where the tree cannot be written. */
export async function createCgroup(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new MeshError("unsupported", `Cannot make cgroup "${path}"`, {
      cause,
      hint: "cgroup2 must be mounted read-write; containers often have it read-only",
    });
  }
}

/** Whether any process lives in it or below; false when it does not exist. */
export async function isPopulated(path: string): Promise<boolean> {
  const events = await readIfThere(join(path, "cgroup.events"));
  return events?.includes("populated 1") ?? false;
}

/** Every process in it and below. */
export async function listProcesses(path: string): Promise<number[]> {
  const own = (await readIfThere(join(path, "cgroup.procs"))) ?? "";
  const below = await Promise.all((await children(path)).map(listProcesses));
  return [...own.split("\n").filter(Boolean).map(Number), ...below.flat()];
}

/** Ends every process in it and below with SIGKILL and waits until they are gone. */
export async function killCgroup(
  path: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + KILL_LIMIT_MS;
  while (await isPopulated(path)) {
    await writeFile(join(path, "cgroup.kill"), "1");
    if (clock.monotonicMs() > deadlineMs) {
      const pids = (await listProcesses(path)).join(", ");
      throw new MeshError("deadline_exceeded", `Cannot end the processes of "${path}": ${pids}`);
    }
    await clock.sleep(POLL_MS, signal);
  }
}

/** Kills what is in it and removes it with everything below. What is not there is success. */
export async function removeCgroup(
  path: string,
  options: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  await killCgroup(path, options);
  await removeEmptyCgroup(path, options);
}

/** Removes one in which nothing runs, with everything below, in any hierarchy. */
export async function removeEmptyCgroup(
  path: string,
  options: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  for (const child of await children(path)) await removeEmptyCgroup(child, options);
  const deadlineMs = options.clock.monotonicMs() + KILL_LIMIT_MS;
  for (;;) {
    try {
      await rmdir(path);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      // The kernel lets go of a killed process's cgroup a moment after the process is gone.
      if (code !== "EBUSY" || options.clock.monotonicMs() > deadlineMs) throw error;
      await options.clock.sleep(POLL_MS, options.signal);
    }
  }
}

async function children(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return undefined;
    throw new MeshError("internal", `Cannot read cgroup "${dirname(path)}"`, { cause: error });
  }
}

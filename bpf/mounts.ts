// The two file systems that the datapath stands on: a bpffs for pins, and the cgroup2 tree.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, statfsSync } from "node:fs";
import { promisify } from "node:util";
import { messageFromError, MeshError } from "../mesh/core/errors.ts";

/** BPF_FS_MAGIC of linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;
const run = promisify(execFile);

export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Makes the directory and mounts a bpffs on it, unless it lies in one already. */
export async function mountBpffs(path: string, signal?: AbortSignal): Promise<void> {
  if (isBpffs(path)) return;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (isBpffs(path)) return;
  await runMount("mount", ["-t", "bpf", "-o", "mode=0700", "bpf", path], signal);
}

/** With everything pinned in it; idempotent. */
export async function unmountBpffs(path: string, signal?: AbortSignal): Promise<void> {
  if (isBpffs(path)) await runMount("umount", [path], signal);
}

/** Where cgroup2 is mounted; `mountinfo` is the text of /proc/self/mountinfo. */
export function findCgroup2(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): string {
  for (const line of mountinfo.split("\n")) {
    // 36 35 98:0 /root /mount/point options [optional fields] - type source options
    const [mount = "", type = ""] = line.split(" - ");
    const point = mount.split(" ")[4];
    if (type.startsWith("cgroup2 ") && point !== undefined) return unescapeOctal(point);
  }
  throw new MeshError("unsupported", "Cannot find a cgroup2 file system: none is mounted", {
    hint: "mount one: `mount -t cgroup2 none /sys/fs/cgroup/unified`",
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

async function runMount(
  program: "mount" | "umount",
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await run(program, [...args], signal === undefined ? {} : { signal });
  } catch (error) {
    const path = args.at(-1);
    throw new MeshError("unavailable", `Cannot ${program} "${path}": ${messageFromError(error)}`);
  }
}

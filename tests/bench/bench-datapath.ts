// The real programs and maps of a node, with a bpffs and a cgroup of the benchmark's own.
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { openDatapath, removeDatapath, type Datapath } from "../../bpf/datapath.ts";
import { findCgroup2, mountBpffs, unmountBpffs } from "../../bpf/mounts.ts";

export interface BenchDatapath {
  readonly datapath: Datapath;
  readonly bpfRoot: string;
  /** Sockets of processes in here are balanced. */
  readonly cgroupPath: string;
  remove(): Promise<void>;
}

export async function createBenchDatapath(directory: string): Promise<BenchDatapath> {
  const bpffs = join(directory, "bpf");
  const bpfRoot = join(bpffs, "node");
  const cgroupPath = createCgroup("balanced");
  const unmount = async (): Promise<void> => {
    removeDatapath(bpfRoot);
    await unmountBpffs(bpffs);
    rmdirSync(cgroupPath);
  };
  try {
    await mountBpffs(bpffs);
    const datapath = openDatapath({ bpfRoot, cgroupPath, objectDirectory: "build/bpf" });
    return {
      datapath,
      bpfRoot,
      cgroupPath,
      async remove() {
        datapath.close();
        await unmount();
      },
    };
  } catch (error) {
    await unmount();
    throw error;
  }
}

/** A cgroup below the root of the cgroup2 tree; rmdir removes it once it is empty. */
export function createCgroup(name: string): string {
  const path = join(findCgroup2(), `tombolo-bench-${process.pid}-${name}`);
  mkdirSync(path);
  return path;
}

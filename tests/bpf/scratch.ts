// What a test of the datapath stands on: a bpffs, a cgroup and built objects, all its own, and
// all gone afterwards.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCgroup2, mountBpffs, unmountBpffs } from "../../bpf/mounts.ts";
import { ROOT } from "../sources.ts";

/**
 * How long a test may take: hundreds of times what an idle machine needs, as other work or
 * emulation may make a machine that slow. Whatever hangs ends in an error of its own before.
 */
export const SLOW_MACHINE_MS = 300_000;

export interface Scratch extends AsyncDisposable {
  /** A directory in a bpffs of its own. */
  readonly bpfRoot: string;
  /** A cgroup without processes, for the test's programs to be attached to. */
  readonly cgroupPath: string;
  readonly objectDirectory: string;
}

export async function createScratch(): Promise<Scratch> {
  const objectDirectory = buildObjects();
  const directory = mkdtempSync(join(tmpdir(), "tombolo-bpf-"));
  const mount = join(directory, "bpf");
  await mountBpffs(mount);
  const cgroupPath = join(findCgroup2(), `tombolo-test-${directory.slice(-6)}`);
  mkdirSync(cgroupPath);
  return {
    bpfRoot: join(mount, "node"),
    cgroupPath,
    objectDirectory,
    async [Symbol.asyncDispose]() {
      await unmountBpffs(mount);
      rmdirSync(cgroupPath);
      rmSync(directory, { recursive: true });
    },
  };
}

/** Quick when they are up to date. */
export function buildObjects(): string {
  const objectDirectory = join(ROOT, "build", "bpf");
  execFileSync("make", ["-s", "-C", join(ROOT, "bpf"), `OUT=${objectDirectory}`]);
  return objectDirectory;
}

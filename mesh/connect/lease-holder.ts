// Who holds a lease, in words for people that also let the same machine see when that process is
// gone: host, process, and a mark of the boot and the process namespace in which the number counts.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface LeaseHolder {
  /** "mesh on HOST, process PID (MARK-RANDOM)". */
  readonly identity: string;
  /** Whether `other` is a process of this machine that has ended. False if that cannot be known. */
  isGone(other: string): boolean;
}

const IDENTITY = /, process (\d+) \(([0-9a-f]+)-[0-9a-f]+\)$/;

export function createLeaseHolder(): LeaseHolder {
  const known = placeMark();
  const random = randomBytes(4).toString("hex");
  // A mark of chance is nobody else's: nothing is concluded from it.
  const mark = known ?? randomBytes(6).toString("hex");
  return {
    identity: `mesh on ${hostname()}, process ${process.pid} (${mark}-${random})`,
    isGone: (other) => {
      const [, pid, place] = IDENTITY.exec(other) ?? [];
      return place === mark && !isRunning(Number(pid));
    },
  };
}

/** Undefined where the kernel does not tell. It answers from memory: nothing is waited for. */
function placeMark(): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8");
    const namespace = readlinkSync("/proc/self/ns/pid");
    return createHash("sha256").update(`${boot}${namespace}`).digest("hex").slice(0, 12);
  } catch {
    return undefined; // No such files: another kernel, or they are hidden.
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

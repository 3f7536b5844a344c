// Starts the lab's long-running processes: each in its own cgroup and network namespace, its
// output in a log file, and outliving whoever started it. Remembers them by pid and start time,
// because a pid alone may have been given to somebody else since.
import { spawn } from "node:child_process";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { commandLine } from "../../apiserver/daemon/process.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { createCgroup, killCgroup, listProcesses, removeCgroup } from "./cgroups.ts";
import { writeJson } from "./json-file.ts";
import { namespacePath } from "./namespaces.ts";

/** How long SIGTERM may take before SIGKILL; etcd flushes its log in well under a second. */
const TERMINATE_LIMIT_MS = 5_000;
const POLL_MS = 20;

export interface ProcessSpec {
  /** Names its record and its log: "east-control.apiserver". */
  readonly name: string;
  readonly argv: readonly string[];
  readonly namespace: string;
  /** File on which a mount namespace is pinned; the machine's own by default. */
  readonly mountNamespace?: string;
  /** Absolute path; made if missing. The process is in it before its first instruction. */
  readonly cgroup: string;
  /** What it leaves in its cgroup when it ends goes on, and is its successor's: a runtime's pods. */
  readonly leavesProcesses?: boolean;
  readonly logFile: string;
  readonly recordFile: string;
}

export interface ProcessRecord {
  readonly pid: number;
  /** In clock ticks since the machine started: field 22 of /proc/PID/stat. */
  readonly startTime: string;
}

/** Ends what is left of an earlier run in the same cgroup, then starts the process. */
export async function startProcess(
  spec: ProcessSpec,
  options: { clock: Clock; signal: AbortSignal },
): Promise<ProcessRecord> {
  if (spec.leavesProcesses !== true) await killCgroup(spec.cgroup, options);
  await createCgroup(spec.cgroup);
  await mkdir(dirname(spec.logFile), { recursive: true });
  await mkdir(dirname(spec.recordFile), { recursive: true });
  const log = await open(spec.logFile, "a", 0o600);
  try {
    const pid = await spawnDetached(spec, log.fd);
    const startTime = (await readStartTime(pid)) ?? "ended";
    await recordProcess(spec.recordFile, { pid, startTime });
    return { pid, startTime };
  } finally {
    await log.close();
  }
}

/** The recorded process, if it is still the same one and running. */
export async function readAliveProcess(recordFile: string): Promise<ProcessRecord | undefined> {
  let record: ProcessRecord;
  try {
    record = JSON.parse(await readFile(recordFile, "utf8")) as ProcessRecord;
  } catch (error) {
    // A record cut short by a crash says as much as none.
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return;
    throw error;
  }
  const startTime = await readStartTime(record.pid);
  return startTime !== undefined && startTime === record.startTime ? record : undefined;
}

/**
 * The recorded process or, when that is gone, another in its cgroup that runs the same words: who
 * brings an apiserver back that a drill has killed (apiserver/drill/main.ts) knows no records.
 */
export async function findAliveProcess(
  spec: Pick<ProcessSpec, "recordFile" | "cgroup" | "argv">,
): Promise<ProcessRecord | undefined> {
  const recorded = await readAliveProcess(spec.recordFile);
  if (recorded !== undefined) return recorded;
  for (const pid of await listProcesses(spec.cgroup)) {
    if (!isDeepStrictEqual(await commandLine(pid), spec.argv)) continue;
    const startTime = await readStartTime(pid);
    if (startTime !== undefined) return { pid, startTime };
  }
  return undefined;
}

/** From now on the recorded process is this one. */
export async function recordProcess(recordFile: string, process: ProcessRecord): Promise<void> {
  await writeJson(recordFile, process);
}

/** SIGTERM, then SIGKILL for everything in its cgroup; removes cgroup and record. */
export async function stopProcess(
  spec: { readonly cgroup: string; readonly recordFile: string },
  options: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const record = await readAliveProcess(spec.recordFile);
  if (record !== undefined) {
    sendSignal(record.pid, "SIGTERM");
    const deadlineMs = options.clock.monotonicMs() + TERMINATE_LIMIT_MS;
    while (
      (await readAliveProcess(spec.recordFile)) !== undefined &&
      options.clock.monotonicMs() < deadlineMs
    ) {
      await options.clock.sleep(POLL_MS, options.signal);
    }
  }
  await removeCgroup(spec.cgroup, options);
  await rm(spec.recordFile, { force: true });
}

/** The words that put whoever runs them into a cgroup and namespaces, then become `argv`. */
export function enteringArgv(place: {
  readonly cgroup: string;
  readonly namespace: string;
  readonly mountNamespace?: string;
  readonly argv: readonly string[];
}): [string, ...string[]] {
  const script = 'echo $$ > "$1" && shift && exec nsenter "$@"';
  const procs = join(place.cgroup, "cgroup.procs");
  const namespaces = [
    `--net=${namespacePath(place.namespace)}`,
    ...(place.mountNamespace === undefined ? [] : [`--mount=${place.mountNamespace}`]),
  ];
  return ["sh", "-c", script, "sh", procs, ...namespaces, "--", ...place.argv];
}

/** Undefined for a process that is gone or only waits to be collected. */
export async function readStartTime(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The second field is the name in brackets and may hold anything; fields are counted behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

async function spawnDetached(spec: ProcessSpec, logFd: number): Promise<number> {
  const [program, ...args] = enteringArgv(spec);
  const child = spawn(program, args, { detached: true, stdio: ["ignore", logFd, logFd] });
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      reject(new MeshError("internal", `Cannot start "${spec.name}"`, { cause }));
    });
    child.once("spawn", () => {
      child.unref();
      resolve(child.pid ?? 0);
    });
  });
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended between the look and the signal, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

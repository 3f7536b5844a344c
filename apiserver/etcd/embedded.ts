// The embedded etcd: a child of its own that outlives a killed apiserver. Whatever the apiserver
// goes through, the data directory has one etcd, and a running one is adopted, not restarted.
//
//   look ── runs with our command line ──► adopted ─┐
//     │  └─ runs with another one ► stop it ─┐      ├─► watch its pid ── gone ──► back off ─► look
//     └── does not run ──► start ◄───────────┘ ─────┘
//                            └─ without data: gets its users first (founding.ts)
import { spawn } from "node:child_process";
import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import type { PkiPaths } from "../../pki/files.ts";
import {
  embeddedEtcdArguments,
  foundingEtcdArguments,
  type EmbeddedEtcdPaths,
} from "./arguments.ts";
import { clusterToken } from "./cluster-token.ts";
import { foundEtcd, isFounded } from "./founding.ts";
import { commandLine, findProcess, stopProcess } from "./process.ts";

export interface EmbeddedEtcdOptions {
  /** Name of the cluster, whose users it gets. */
  readonly cluster: string;
  readonly listen: string;
  readonly keepRunning: boolean;
  readonly paths: EmbeddedEtcdPaths;
  readonly pki: PkiPaths;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface EmbeddedEtcdStatus {
  readonly state: "starting" | "running" | "adopted" | "backing-off" | "stopped";
  readonly pid: number;
  readonly restarts: number;
  readonly lastError: string;
}

export interface EmbeddedEtcd {
  /** Resolves when the signal has aborted and etcd is stopped (or left running, if so asked). */
  run(signal: AbortSignal): Promise<void>;
  status(): EmbeddedEtcdStatus;
}

/** How soon the end of etcd is noticed. It has no other way to tell an adopter. */
const LOOK_MS = 250;
const RESTART_BASE_MS = 200;
const RESTART_CAP_MS = 30_000;
/** An etcd that lived this long had started well: the next restart begins without back-off. */
const HEALTHY_MS = 10_000;
/** etcd ends in well below a second; a disk that hangs must not keep the apiserver for ever. */
const STOP_GRACE_MS = 10_000;
/** Debian installs etcd in /usr/bin; people put their own in /usr/local/bin. */
const SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin";
const LOG_MAX_BYTES = 16 * 1024 * 1024;

export function createEmbeddedEtcd(options: EmbeddedEtcdOptions): EmbeddedEtcd {
  const { paths, clock, log } = options;
  const isOurs = (line: readonly string[]): boolean =>
    line[0]?.endsWith("etcd") === true && line.includes(`--data-dir=${paths.data}`);
  const isAlive = async (pid: number): Promise<boolean> => isOurs((await commandLine(pid)) ?? []);
  let status: EmbeddedEtcdStatus = { state: "starting", pid: 0, restarts: 0, lastError: "" };

  async function adoptOrStart(): Promise<number> {
    await mkdir(paths.run, { recursive: true, mode: 0o700 });
    const token = await clusterToken(paths);
    const place = { data: paths.data, clusterToken: token };
    const wanted = embeddedEtcdArguments({ ...options, ...place });
    const found = (await pidFromFile(paths.pidFile, isAlive)) ?? (await findProcess(isOurs));
    if (found !== undefined) {
      const line = await commandLine(found);
      if (line !== undefined && sameArguments(line.slice(1), wanted)) {
        log.info("etcd is adopted", { pid: found });
        status = { ...status, state: "adopted", pid: found };
        return found;
      }
      log.warn("etcd runs with other arguments and is restarted", { pid: found });
      await stop(found);
    }
    if (!(await isFounded(paths, token))) {
      const founding = await start(foundingEtcdArguments(place));
      try {
        await foundEtcd({ pid: founding, token }, options);
      } finally {
        await stop(founding);
      }
    }
    const pid = await start(wanted);
    log.info("etcd is started", { pid });
    status = { ...status, state: "running", pid };
    return pid;
  }

  async function start(wanted: readonly string[]): Promise<number> {
    await mkdir(paths.data, { recursive: true, mode: 0o700 });
    const output = await openLog(paths.log);
    try {
      // Detached: a signal to the apiserver's process group must not reach etcd's data.
      const child = spawn("etcd", wanted, {
        cwd: paths.run,
        detached: true,
        stdio: ["ignore", output.fd, output.fd],
        env: { PATH: SEARCH_PATH },
      });
      const pid = await new Promise<number>((resolve, reject) => {
        child.once("error", reject);
        child.once("spawn", () => resolve(child.pid ?? 0));
      });
      child.unref();
      await writeFileAtomic(paths.pidFile, `${pid}\n`, { mode: SECRET_FILE_MODE });
      return pid;
    } finally {
      await output.close();
    }
  }

  const stop = (pid: number): Promise<void> =>
    stopProcess(pid, { isAlive: () => isAlive(pid), graceMs: STOP_GRACE_MS, clock });

  async function watchPid(pid: number, signal: AbortSignal): Promise<void> {
    while (await isAlive(pid)) await clock.sleep(LOOK_MS, signal);
  }

  return {
    async run(signal) {
      const backoff = createBackoff({
        baseMs: RESTART_BASE_MS,
        capMs: RESTART_CAP_MS,
        random: options.random,
      });
      try {
        while (!signal.aborted) {
          const startedMs = clock.monotonicMs();
          const error = await adoptOrStart()
            .then((pid) => watchPid(pid, signal))
            .then(() => new Error(`etcd has ended; its last words are in "${paths.log}"`))
            .catch((failure: unknown) => failure);
          if (signal.aborted) break;
          if (clock.monotonicMs() - startedMs >= HEALTHY_MS) backoff.reset();
          const lastError = messageFromError(error);
          log.error("etcd does not run", { reason: lastError });
          status = { state: "backing-off", pid: 0, restarts: status.restarts + 1, lastError };
          await clock.sleep(backoff.nextMs(), signal);
        }
      } catch (error) {
        if (!isMeshError(error, "aborted")) throw error;
      }
      if (options.keepRunning || status.pid === 0) return;
      await stop(status.pid);
      status = { ...status, state: "stopped", pid: 0 };
    },
    status: () => status,
  };
}

async function pidFromFile(
  path: string,
  isAlive: (pid: number) => Promise<boolean>,
): Promise<number | undefined> {
  const text = await readFile(path, "utf8").catch(() => ""); // Not there: nothing to adopt.
  const pid = /^\d+\n$/.test(text) ? Number(text) : 0;
  return pid > 1 && (await isAlive(pid)) ? pid : undefined;
}

function sameArguments(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** One older file is kept, so that the log has a bound. */
async function openLog(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  const size = await stat(path).then(
    (info) => info.size,
    () => 0, // Not there yet.
  );
  if (size > LOG_MAX_BYTES) await rename(path, `${path}.old`);
  return open(path, "a", 0o600);
}

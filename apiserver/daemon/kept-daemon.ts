// A daemon that the apiserver keeps running: a child of its own that outlives a killed apiserver.
// There is one of it a directory, and a running one is adopted, not restarted.
//
//   look ── runs with our command line ──► adopted ─┐
//     │  └─ runs with another one ► stop it ─┐      ├─► watch its pid ── gone ──► back off ─► look
//     └── does not run ──► start ◄───────────┘ ─────┘
import { spawn } from "node:child_process";
import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import type { Hold } from "../drill/hold.ts";
import { commandLine, findProcess, signalProcess, stopProcess } from "./process.ts";

export interface KeptDaemonOptions {
  /** The program, found in the usual places; also what messages call it. */
  readonly program: string;
  readonly paths: {
    /** Its working directory; made 0700. */
    readonly run: string;
    readonly pidFile: string;
    /** What it says on standard error. */
    readonly log: string;
  };
  /** Whether a command line is that of this directory's daemon, whatever else it says. */
  readonly isOurs: (line: readonly string[]) => boolean;
  /** The arguments that it should run with; asked at every look. */
  readonly wanted: () => Promise<readonly string[]>;
  /** Before it is started, not before it is adopted. */
  readonly prepare?: (process: DaemonProcess) => Promise<void>;
  /** Leave it running when the apiserver is told to stop; the next one adopts it. */
  readonly keepRunning: boolean;
  /** While a drill holds it, it is not started again. */
  readonly hold?: Pick<Hold, "active" | "over"> | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** Starting and ending the program by hand, for what has to be done before it runs for good. */
export interface DaemonProcess {
  start(wanted: readonly string[]): Promise<number>;
  stop(pid: number): Promise<void>;
}

export interface DaemonStatus {
  readonly state: "starting" | "running" | "adopted" | "backing-off" | "stopped";
  readonly pid: number;
  readonly restarts: number;
  readonly lastError: string;
}

export interface KeptDaemon {
  /** Resolves when the signal has aborted and it is stopped (or left running, if so asked). */
  run(signal: AbortSignal): Promise<void>;
  /** Tells it to read its configuration again. Nothing if it does not run. */
  reload(): void;
  /** Ends it; it is started again at once, and nobody calls that a failure. */
  restart(): Promise<void>;
  status(): DaemonStatus;
}

/** How soon the end of the daemon is noticed. It has no other way to tell an adopter. */
const LOOK_MS = 250;
const RESTART_BASE_MS = 200;
const RESTART_CAP_MS = 30_000;
/** One that lived this long had started well: the next restart begins without back-off. */
const HEALTHY_MS = 10_000;
/** They end in well below a second; a disk that hangs must not keep the apiserver for ever. */
const STOP_GRACE_MS = 10_000;
/** Debian installs into /usr/bin and /usr/sbin; people put their own into /usr/local/bin. */
const SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
const LOG_MAX_BYTES = 16 * 1024 * 1024;

export function createKeptDaemon(options: KeptDaemonOptions): KeptDaemon {
  const { program, paths, isOurs, clock, log } = options;
  const isAlive = async (pid: number): Promise<boolean> => isOurs((await commandLine(pid)) ?? []);
  let status: DaemonStatus = { state: "starting", pid: 0, restarts: 0, lastError: "" };
  let restarting = false;

  const stop = (pid: number): Promise<void> =>
    stopProcess(pid, { isAlive: () => isAlive(pid), graceMs: STOP_GRACE_MS, clock });

  async function start(wanted: readonly string[]): Promise<number> {
    const output = await openLog(paths.log);
    try {
      // Detached: a signal to the apiserver's process group must not reach the daemon's data.
      const child = spawn(program, wanted, {
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

  async function adoptOrStart(): Promise<number> {
    await mkdir(paths.run, { recursive: true, mode: 0o700 });
    const wanted = await options.wanted();
    const found = (await pidFromFile(paths.pidFile, isAlive)) ?? (await findProcess(isOurs));
    if (found !== undefined) {
      const line = await commandLine(found);
      if (line !== undefined && sameArguments(line.slice(1), wanted)) {
        log.info(`${program} is adopted`, { pid: found });
        status = { ...status, state: "adopted", pid: found };
        return found;
      }
      log.warn(`${program} runs with other arguments and is restarted`, { pid: found });
      await stop(found);
    }
    await options.prepare?.({ start, stop });
    const pid = await start(wanted);
    log.info(`${program} is started`, { pid });
    status = { ...status, state: "running", pid };
    return pid;
  }

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
            .then(() => new Error(`${program} has ended; its last words are in "${paths.log}"`))
            .catch((failure: unknown) => failure);
          if (signal.aborted) break;
          if (options.hold?.active === true) {
            const lastError = `a drill has ended ${program} and keeps it from being started`;
            status = { ...status, state: "backing-off", pid: 0, lastError };
            await options.hold.over(signal);
            continue;
          }
          if (restarting) {
            restarting = false;
            continue;
          }
          if (clock.monotonicMs() - startedMs >= HEALTHY_MS) backoff.reset();
          const lastError = messageFromError(error);
          log.error(`${program} does not run`, { reason: lastError });
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
    reload() {
      if (status.pid !== 0) signalProcess(status.pid, "SIGHUP");
    },
    async restart() {
      if (status.pid === 0) return;
      restarting = true;
      await stop(status.pid);
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

// nats-server, kept running on what stands in its directory: started once there is a configuration,
// told to read it again when it changes, started anew for what it cannot take over while it runs.
// Runs in the apiserver, or beside it in a container of its own (main.ts).
import { readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { createKeptDaemon, type DaemonStatus, type KeptDaemon } from "../daemon/kept-daemon.ts";
import { natsPaths, readNatsDirectory, type NatsPaths } from "./directory.ts";
import { needsRestart } from "./render-config.ts";

export interface NatsServerOptions {
  readonly directory: string;
  readonly keepRunning: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface NatsServer {
  /** Resolves when the signal has aborted and the server is stopped (or left running). */
  run(signal: AbortSignal): Promise<void>;
  status(): DaemonStatus;
}

/** How soon another configuration is noticed; two small files are read for it. */
const LOOK_MS = 500;
/** nats-server names what it has put aside after its log; so many stay. */
const OLD_LOGS_MAX = 1;

export function createNatsServer(options: NatsServerOptions): NatsServer {
  const paths = natsPaths(options.directory);
  const daemon = createKeptDaemon({
    ...options,
    program: "nats-server",
    paths: { run: paths.directory, pidFile: paths.pidFile, log: paths.lastWords },
    isOurs: (line) =>
      line[0]?.endsWith("nats-server") === true && line.includes(`--config=${paths.config}`),
    wanted: () => Promise.resolve([`--config=${paths.config}`]),
    prepare: async () => remember(paths, await readNatsDirectory(paths.directory)),
  });
  return {
    status: () => daemon.status(),
    async run(signal) {
      const { clock } = options;
      while (!signal.aborted && (await readNatsDirectory(paths.directory)) === undefined) {
        await clock.sleep(LOOK_MS, signal).catch(() => {}); // Aborted: the loop ends.
      }
      if (signal.aborted) return;
      const tasks = [
        { name: "nats-server", run: (inner: AbortSignal) => daemon.run(inner) },
        {
          name: "nats configuration",
          run: (inner: AbortSignal) => follow({ ...options, paths, daemon }, inner),
        },
      ];
      await runTasks(tasks, signal);
    },
  };
}

/** Makes the running server have what stands in the directory. */
async function follow(
  parts: NatsServerOptions & { readonly paths: NatsPaths; readonly daemon: KeptDaemon },
  signal: AbortSignal,
): Promise<void> {
  const { paths, daemon, clock, log } = parts;
  while (!signal.aborted) {
    try {
      await clock.sleep(LOOK_MS, signal);
      // One that is about to start reads what stands there by itself.
      if (daemon.status().pid === 0) continue;
      await pruneLogs(paths);
      const wanted = await readNatsDirectory(paths.directory);
      const running = await readRunning(paths);
      if (wanted === undefined || running?.digest === wanted.digest) continue;
      await remember(paths, wanted);
      if (running === undefined || needsRestart(running.config, wanted.config)) {
        log.info("nats-server is started anew for its new configuration");
        await daemon.restart();
      } else {
        log.info("nats-server reads its new configuration");
        daemon.reload();
      }
    } catch (error) {
      if (isMeshError(error, "aborted")) return;
      log.warn("nats-server's configuration cannot be followed", {
        reason: messageFromError(error),
      });
    }
  }
}

interface RunningConfig {
  readonly config: string;
  readonly digest: string;
}

async function remember(paths: NatsPaths, running: RunningConfig | undefined): Promise<void> {
  if (running === undefined) return;
  await writeFileAtomic(paths.running, JSON.stringify(running), { mode: SECRET_FILE_MODE });
}

/** Undefined if it is not known: then a restart makes it known. */
async function readRunning(paths: NatsPaths): Promise<RunningConfig | undefined> {
  try {
    return JSON.parse(await readFile(paths.running, "utf8")) as RunningConfig;
  } catch {
    return undefined; // Not there, or cut short by a full disk.
  }
}

/** The server puts a full log aside and keeps all of them; a bound is ours to keep. */
async function pruneLogs(paths: NatsPaths): Promise<void> {
  const name = basename(paths.log);
  const files = await readdir(paths.directory);
  const old = files.filter((file) => file.startsWith(`${name}.`)).sort();
  for (const file of old.slice(0, Math.max(0, old.length - OLD_LOGS_MAX))) {
    await rm(join(paths.directory, file), { force: true });
  }
}

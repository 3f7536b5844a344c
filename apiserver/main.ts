// The apiserver's process: arguments, signals, log, exit status. Everything else is apiserver.ts.
//
//   apiserver/main.ts --config FILE
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { createApiserverStatusReader } from "../mesh/api/apiserver-client.ts";
import { clusterPaths, readClusterProfile } from "../mesh/contexts/cluster-directory.ts";
import { writeContext } from "../mesh/contexts/contexts.ts";
import { systemRandom } from "../mesh/core/backoff.ts";
import { systemClock } from "../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../mesh/core/errors.ts";
import { createJsonLogger } from "../mesh/core/logger.ts";
import { createKubernetesTransport } from "../mesh/kubernetes/transport.ts";
import { printError } from "../mesh/terminal.ts";
import { runApiserver } from "./apiserver.ts";
import { readApiserverConfig } from "./config.ts";
import { dieFor } from "./drill/die.ts";
import { createObjectFollower } from "./objects/object-follower.ts";

/** An apiserver that lives answers its own machine in milliseconds. */
const PROBE_TIMEOUT_MS = 1_000;
/** What a shell says of a program that SIGKILL has ended. */
const KILLED_STATUS = 137;

async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: "string" } } });
  if (values.config === undefined) {
    throw new MeshError("invalid_argument", "Cannot start the apiserver: want --config FILE");
  }
  const config = await readApiserverConfig(values.config);
  await refuseSecond(config.directory, signal);
  const { version } = JSON.parse(
    await readFile(new URL("../package.json", import.meta.url), "utf8"),
  ) as { version: string };
  const seams = { clock: systemClock, random: systemRandom };
  const log = createJsonLogger({
    write: (line) => process.stderr.write(line),
    nowMs: systemClock.nowMs,
    level: config.logLevel,
  });
  const objects =
    config.objects === undefined
      ? undefined
      : createObjectFollower({
          ...seams,
          transport: createKubernetesTransport(config.objects, seams),
          namespace: config.objects.namespace,
          root: config.directory,
          log,
        });
  const profile =
    objects === undefined
      ? await readClusterProfile(config.directory)
      : await objects.prepare(signal);
  if (objects !== undefined) await writeOwnContext(profile.name, config.directory);
  const { apiserverSocket: socketPath } = clusterPaths(config.directory);
  const { argv, execArgv } = process;
  const kill = (): void => {
    process.kill(process.pid, "SIGKILL");
    // The first process of a container cannot be killed from within: the kernel ignores it.
    process.exit(KILLED_STATUS);
  };
  await runApiserver(
    {
      ...seams,
      config,
      profile,
      objects,
      version,
      die: (ttlMs) => dieFor(ttlMs, { socketPath, argv, execArgv, kill }),
      log: log.with({ cluster: profile.name }),
    },
    signal,
  );
}

/** So that `mesh` works beside us, in the same container, without anything being configured. */
async function writeOwnContext(name: string, directory: string): Promise<void> {
  const home = process.env["TOMBOLO_HOME"];
  if (home === undefined) return;
  await writeContext(home, { name, directory, networkNamespace: undefined });
}

/** Two apiservers on one directory would prune each other's keys. */
async function refuseSecond(directory: string, signal: AbortSignal): Promise<void> {
  const { apiserverSocket: socketPath } = clusterPaths(directory);
  const reader = createApiserverStatusReader({
    socketPath,
    clock: systemClock,
    timeoutMs: PROBE_TIMEOUT_MS,
  });
  const alive = await reader.readStatus(signal).then(
    () => true,
    () => false, // Nobody listens: that is what is hoped for.
  );
  if (alive) {
    throw new MeshError("conflict", `Cannot start the apiserver: one runs on "${directory}"`, {
      hint: "stop the other one first",
    });
  }
}

const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

try {
  await main(abort.signal);
} catch (error) {
  // Who is told to end while something is waited for has not failed.
  if (!isMeshError(error, "aborted") || !abort.signal.aborted) {
    printError({ write: (text) => process.stderr.write(text), colour: false }, error);
    process.exitCode = 1;
  }
}
// Timers and sockets of libraries must not keep a process alive that has ended its work.
process.exit();

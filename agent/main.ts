// The programs of a node: the agent (`agent/main.ts --config FILE`, inside the node's network
// namespace), and what puts the plugin on a node and takes everything from it again. This file
// owns the process.
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { systemClock } from "../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../mesh/core/errors.ts";
import { createJsonLogger, type Logger } from "../mesh/core/logger.ts";
import { printError } from "../mesh/terminal.ts";
import { readAgentConfig, type AgentConfig } from "./config.ts";
import { installPlugin } from "./node/install-plugin.ts";
import { writeLocalNodeFile } from "./node/local-node-file.ts";
import { removeNode } from "./node/remove-node.ts";
import { runAgent } from "./run-agent.ts";

const PACKAGE_FILE = new URL("../package.json", import.meta.url);
/** Where the image holds the plugin and all that it needs. */
const PLUGIN_SOURCE = "/opt/tombolo-host";
/** Says that a node was tidied up, to whoever waits for the container. */
const REMOVED_FILE = "/tmp/removed";

const USAGE = `Usage: tombolo-agent [COMMAND] --config FILE

  (no command)     run the node's agent
  install-plugin   put the CNI plugin on the node, then end
  remove-node      take everything of Tombolo from the node, then end
      --wait       make ${REMOVED_FILE} afterwards and wait to be ended
      --directory D  a directory of ours to remove if it is empty then; may be repeated

TOMBOLO_HOME  where \`mesh\` on this machine finds the agent
NODE_NAME     the node's name, if FILE has none
`;

type Command = "run" | "install-plugin" | "remove-node";

interface Arguments {
  readonly command: Command;
  readonly configPath: string;
  readonly wait: boolean;
  readonly directories: readonly string[];
}

async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(PACKAGE_FILE, "utf8")) as { version: string };
  return version;
}

function parseArguments(args: readonly string[]): Arguments | undefined {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: "string" },
        wait: { type: "boolean" },
        directory: { type: "string", multiple: true },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (cause) {
    throw new MeshError("invalid_argument", "Cannot read the arguments", { cause });
  }
  const { values, positionals } = parsed;
  if (values.help === true) return undefined;
  const [command = "run", ...rest] = positionals;
  const known = command === "run" || command === "install-plugin" || command === "remove-node";
  if (!known || rest.length > 0) {
    throw new MeshError(
      "invalid_argument",
      `Cannot understand "${positionals.join(" ")}": want install-plugin, remove-node or nothing`,
    );
  }
  if (values.config === undefined) {
    throw new MeshError("invalid_argument", "Cannot start the agent: --config FILE is missing");
  }
  const { config: configPath, wait = false, directory: directories = [] } = values;
  return { command, configPath, wait, directories };
}

async function runCommand(
  { command, wait, directories }: Arguments,
  { config, log }: { readonly config: AgentConfig; readonly log: Logger },
): Promise<void> {
  const { signal } = abort;
  const home = process.env["TOMBOLO_HOME"];
  if (command === "install-plugin") {
    const { cni } = config;
    if (cni === undefined) {
      throw new MeshError(
        "invalid_argument",
        'Cannot install the plugin: the agent configuration has no "cni"',
      );
    }
    await installPlugin({ source: PLUGIN_SOURCE, version: await readVersion(), cni, log });
    return;
  }
  if (command === "remove-node") {
    await removeNode({ config, home, directories, log }, signal);
    if (!wait) return;
    await writeFile(REMOVED_FILE, "");
    await untilAborted(signal);
    return;
  }
  if (home !== undefined && config.etcd.kind === "kubernetes") {
    await writeLocalNodeFile(home, config);
  }
  const kernelNowNs = (): bigint => process.hrtime.bigint();
  const version = await readVersion();
  await runAgent({ config, version, clock: systemClock, kernelNowNs, log }, signal);
}

/** The timer keeps the process alive: a listener alone would not. */
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {}, 60_000);
    const end = (): void => {
      clearInterval(timer);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

const stderr = { write: (text: string) => void process.stderr.write(text), colour: false };
const log = createJsonLogger({
  write: stderr.write,
  nowMs: systemClock.nowMs,
  level: process.env["TOMBOLO_DEBUG"] === undefined ? "info" : "debug",
});
const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

try {
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed === undefined) {
    process.stdout.write(USAGE);
  } else {
    const environment = { nodeName: process.env["NODE_NAME"] };
    const config = await readAgentConfig(parsed.configPath, environment);
    await runCommand(parsed, { config, log: log.with({ node: config.nodeName }) });
  }
} catch (error) {
  if (!abort.signal.aborted) {
    printError(stderr, error);
    process.exitCode = isMeshError(error, "invalid_argument") ? 2 : 1;
  }
}

// `mesh uninstall`: takes Tombolo out of a cluster and off its nodes, unless peers would notice.
import { uninstall, type UninstallResult } from "../install/uninstall.ts";
import { parseNamespace } from "../install/settings.ts";
import { DEFAULT_NAMESPACE } from "../kubernetes/object-names.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import {
  CLUSTER_FLAGS,
  CLUSTER_HELP,
  done,
  openCluster,
  parseTimeoutMs,
  sayTo,
} from "./install-options.ts";

const USAGE = `Usage: mesh uninstall [OPTIONS]

Takes Tombolo out of a Kubernetes cluster: ends the agents, removes interface, routes, pins and
plugin from every node, then every object, the cluster's authority included: whoever trusted this
cluster has to be connected anew. Stops before anything is changed while peers are connected. Asks
nothing, and goes on where it was when it is run again.

With --cni network the pods that run lose their network, and are named. They have to be made again
with the plugin that comes after; until it is there, the runtime cannot end them either.

  --force                   also while peers are connected
  --skip-nodes              after the time-out, go on without nodes that do not answer
${CLUSTER_HELP}  -o, --output FORMAT       table (default) or json

Examples:
  mesh uninstall --context east
  mesh uninstall --context east --force --skip-nodes --timeout 60
`;

const FLAGS = {
  ...CLUSTER_FLAGS,
  force: { type: "boolean" },
  "skip-nodes": { type: "boolean" },
  output: { type: "string", short: "o" },
} as const;

export const uninstallCommand: Command = {
  name: "uninstall",
  summary: "take Tombolo out of a Kubernetes cluster",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot uninstall "${positionals[0]}": want flags only`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const timeoutMs = parseTimeoutMs(values.timeout);
    const namespace = parseNamespace(values.namespace ?? DEFAULT_NAMESPACE);
    const transport = await openCluster(values, context);
    const result = await uninstall(
      transport,
      {
        namespace,
        force: values.force === true,
        skipNodes: values["skip-nodes"] === true,
        timeoutMs,
        clock: context.clock,
        onStep: sayTo(context),
      },
      context.signal,
    );
    context.stdout.write(
      format === "json" ? formatJson({ namespace, ...result }) : describe(result, context),
    );
    return 0;
  },
};

function describe(result: UninstallResult, context: CommandContext): string {
  const { removed, cleanedNodes, skippedNodes } = result;
  if (removed.length === 0) return "Nothing to uninstall: no object of Tombolo is there.\n";
  const skipped =
    skippedNodes.length === 0
      ? ""
      : `Not cleaned: nodes ${skippedNodes.join(", ")}; restart them, or delete what Tombolo has left there.\n`;
  return (
    `${done(context, "Uninstalled:")} ${removed.length} objects removed, ` +
    `${cleanedNodes.length} nodes cleaned\n${skipped}`
  );
}

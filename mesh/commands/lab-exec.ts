// `mesh lab exec`: runs a command inside a pod or a node of a lab.
import { findLabPlace, runInLab } from "../../deploy/lab/enter.ts";
import { openLab } from "../../deploy/lab/lab.ts";
import { usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, parseLabArguments } from "./lab-options.ts";

const USAGE = `Usage: mesh lab exec [--name NAME] WHERE -- COMMAND [ARGUMENTS]

WHERE is one of
  CLUSTER/NAMESPACE/POD   a pod
  CLUSTER/POD             a pod of the namespace "default"
  CLUSTER/NODE            a node: node1, node2 …
  CLUSTER/control         where the cluster's apiserver and etcd run

In a lab of Kubernetes a node has its own file systems as well, and \`mesh lab kubectl\` runs
commands in pods.

The exit status is the command's.

Example:
  mesh lab exec east/node1 -- ip address
`;

export const labExec: Command = {
  name: "lab exec",
  summary: "run a command in a pod or on a node of a lab",
  usage: USAGE,
  async run(args, context) {
    const dashes = args.indexOf("--");
    const argv = dashes < 0 ? [] : args.slice(dashes + 1);
    if (argv.length === 0) {
      throw usageError('Cannot run "mesh lab exec": no command behind "--"', USAGE);
    }
    const { values, positionals } = parseLabArguments(args.slice(0, dashes), {
      usage: USAGE,
      flags: { name: { type: "string", default: DEFAULT_LAB_NAME } },
      words: 1,
    });
    const [where = ""] = positionals;
    const place = await findLabPlace(await openLab(values.name, context), where);
    return runInLab(place, argv);
  },
};

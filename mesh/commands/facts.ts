// `mesh facts`: what another machine's `mesh` asks in an apiserver's container when it cannot reach
// the cluster's etcd itself. Prints JSON, for machines only.
import { openClusterAccess, openContext } from "../connect/context-access.ts";
import { messageFromInsideFacts } from "../connect/inside-view.ts";
import { isKubernetesContext, readContext } from "../contexts/contexts.ts";
import { MeshError } from "../core/errors.ts";
import { formatJson } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { onlyContext } from "./select-context.ts";

const USAGE = `Usage: mesh facts [--context NAME] [--losses-without CLUSTER | --drain-of CLUSTER]

For machines: prints as JSON what connecting must know of this machine's cluster, by its etcd. On
Kubernetes, mesh connect and mesh disconnect run it in the apiserver's container when they cannot
reach the cluster's etcd from where they are.

  --context         a context of this machine; the only one by default
  --losses-without  print instead what services would lose without that cluster
  --drain-of        print instead whether others could take over from that cluster
  --service         of that service only; may be given again

Example:
  mesh facts --context east
`;

const FLAGS = {
  context: { type: "string" },
  "losses-without": { type: "string" },
  "drain-of": { type: "string" },
  service: { type: "string", multiple: true },
} as const;

export const factsCommand: Command = {
  name: "facts",
  summary: "for machines: what connecting must know of this machine's cluster",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": want flags only`, USAGE);
    }
    const name = values.context ?? (await onlyContext(context));
    const found = await readContext(context.home, name);
    if (isKubernetesContext(found)) {
      throw new MeshError(
        "invalid_argument",
        `Cannot read the facts of context "${name}": it is no cluster of this machine`,
      );
    }
    const cluster = values["drain-of"];
    if (cluster !== undefined) {
      const request = { cluster, services: values.service ?? [] };
      const { drainChecker } = openContext(found, context);
      context.stdout.write(formatJson(await drainChecker.checkDrain(request, context.signal)));
      return 0;
    }
    const access = openClusterAccess({ context: name, directory: found.directory }, context);
    const peer = values["losses-without"];
    const answer =
      peer === undefined
        ? messageFromInsideFacts(await access.readFacts(context.signal), context.clock.nowMs())
        : await access.readLosses(peer, context.signal);
    context.stdout.write(formatJson(answer));
    return 0;
  },
};

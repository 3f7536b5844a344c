// `mesh bridge`: what an operator's `mesh` runs in an apiserver's container to speak with the
// cluster's NATS, whose port and whose key it has not.
import { bridgeDirectoryOperations } from "../connect/operations-access.ts";
import { isKubernetesContext, readContext } from "../contexts/contexts.ts";
import { MeshError } from "../core/errors.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { onlyContext } from "./select-context.ts";

const USAGE = `Usage: mesh bridge [--context NAME]

For machines: copies between its standard streams and NATS of this machine's cluster, as the
cluster's admin. On Kubernetes, mesh drill runs it in the apiserver's container, over the API
server; it ends with whoever has started it.

  --context  a context of this machine; the only one by default

Example:
  mesh bridge --context east
`;

const FLAGS = { context: { type: "string" } } as const;

export const bridgeCommand: Command = {
  name: "bridge",
  summary: "for machines: copies between its standard streams and the cluster's NATS",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": want flags only`, USAGE);
    }
    const { streams, clock, signal } = context;
    if (streams === undefined) {
      throw new MeshError("unsupported", "Cannot bridge: there are no standard streams");
    }
    const name = values.context ?? (await onlyContext(context));
    const found = await readContext(context.home, name);
    if (isKubernetesContext(found)) {
      throw new MeshError(
        "invalid_argument",
        `Cannot bridge to context "${name}": it is no cluster of this machine`,
      );
    }
    const entered = await enterNamespace(found.networkNamespace, context);
    if (entered !== undefined) return entered;
    await bridgeDirectoryOperations(found.directory, { ...streams(), clock }, signal);
    return 0;
  },
};

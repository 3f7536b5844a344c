// Commands that look at a node, for the nodes of a Kubernetes cluster: the same command runs in the
// pod of that node's agent, where its socket, its maps and its network are.
import { inPodOf } from "../connect/context-access.ts";
import { isKubernetesContext } from "../contexts/contexts.ts";
import { MeshError } from "../core/errors.ts";
import { AGENT_CONTAINER, AGENT_NAME, NAME_LABEL } from "../kubernetes/object-names.ts";
import { findPod } from "../kubernetes/ready-pod.ts";
import type { Command, CommandContext } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { findContext, takeFlags } from "./select-context.ts";

const HELP = `A node of a Kubernetes cluster is named by its cluster's context, too: the command then runs in the
pod of that node's agent.

  --context NAME     a context of this machine or of the kubeconfig
  --kubeconfig FILE  $KUBECONFIG, or ~/.kube/config
  --namespace NAME   where Tombolo lives (tombolo-system)

`;

/** The command, with `--context` besides what it takes by itself. */
export function inNodePod(command: Command): Command {
  return {
    ...command,
    usage: command.usage.replace(/^Examples?:$/m, `${HELP}$&`),
    run: async (args, context) => {
      const flags = ["context", "node", "kubeconfig", "namespace"] as const;
      const { rest, values } = takeFlags(args, flags);
      const { context: name, node, ...wish } = values;
      if (name === undefined) return command.run(args, context);
      if (rest.includes("--follow")) {
        throw new MeshError(
          "unsupported",
          `Cannot follow through --context: what a command says in a pod is read when it has ended`,
          { hint: `run \`mesh ${command.name} --follow\` in the agent's container itself` },
        );
      }
      if (node === undefined) {
        throw new MeshError("invalid_argument", "Cannot choose a node: want --context with --node");
      }
      const words = ["mesh", ...command.name.split(" "), ...rest];
      return runInPod({ ...wish, name, node, words }, context);
    },
  };
}

async function runInPod(
  wish: {
    readonly name: string;
    readonly kubeconfig?: string;
    readonly namespace?: string;
    readonly node: string;
    readonly words: readonly string[];
  },
  context: CommandContext,
): Promise<number> {
  const { node } = wish;
  const found = await findContext(wish, context);
  if (!isKubernetesContext(found)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot look at nodes of context "${found.name}": it is no Kubernetes cluster`,
      { hint: `a node of this machine is named by --node alone: --node ${node}` },
    );
  }
  const entered = await enterNamespace(found.networkNamespace, context);
  if (entered !== undefined) return entered;
  const { transport, namespace, exec } = inPodOf(found, context.clock);
  const labelSelector = `${NAME_LABEL}=${AGENT_NAME}`;
  const query = { namespace, labelSelector, node, what: "the agent" };
  const pod = await findPod(transport, query, context.signal);
  const target = { namespace, pod: pod.name, container: AGENT_CONTAINER, argv: wish.words };
  const result = await exec.run(target, context.signal);
  context.stdout.write(result.stdout);
  context.stderr.write(result.stderr);
  return result.status;
}

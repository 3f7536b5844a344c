// From a context's name to a connection to its cluster's operations plane: for `mesh events`,
// `mesh drill`. Where NATS can only be reached from somewhere else, the same command runs there:
// in the network namespace of a lab, in the apiserver's container of a Kubernetes cluster.
import { inPodOf } from "../connect/context-access.ts";
import { findApiserverPod } from "../connect/kubernetes-apiserver.ts";
import { openDirectoryOperations } from "../connect/operations-access.ts";
import { isKubernetesContext, type KubernetesContext } from "../contexts/contexts.ts";
import type { ExecResult } from "../kubernetes/exec.ts";
import { APISERVER_CONTAINER } from "../kubernetes/object-names.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import type { CommandContext } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { findContext, onlyContext } from "./select-context.ts";

export interface OperationsWish {
  /** The only one of this machine if undefined. */
  readonly context?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly namespace?: string | undefined;
  /**
   * For a Kubernetes cluster: does the same by running `mesh` inside the apiserver's container, with
   * words that name no context, and returns the exit status.
   */
  readonly inPod: (pod: PodCommand) => Promise<number>;
}

/** Runs `mesh WORDS` in the apiserver's container. */
export type PodCommand = (words: readonly string[]) => Promise<ExecResult>;

export interface ContextOperations {
  readonly cluster: string;
  /** The cluster directory. */
  readonly directory: string;
  /** Connected, or trying; closed after the work. */
  readonly connection: OperationsConnection;
}

/** Runs `work` with the connection and returns its exit status, or that of who ran it elsewhere. */
export async function openOperations(
  wish: OperationsWish,
  context: CommandContext,
  work: (operations: ContextOperations, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const name = wish.context ?? (await onlyContext(context));
  const { kubeconfig, namespace } = wish;
  const found = await findContext({ name, kubeconfig, namespace }, context);
  const entered = await enterNamespace(found.networkNamespace, context);
  if (entered !== undefined) return entered;
  if (isKubernetesContext(found)) return wish.inPod(podCommand(found, context));
  const { cluster, connection } = await openDirectoryOperations(found.directory, context);
  const end = new AbortController();
  const signal = AbortSignal.any([context.signal, end.signal]);
  const running = connection.run(signal);
  try {
    return await work({ cluster, directory: found.directory, connection }, signal);
  } finally {
    end.abort("the work has ended");
    await running;
  }
}

/** Shows what the pod's command said, as it said it. */
export function passOn(result: ExecResult, context: CommandContext): number {
  context.stdout.write(result.stdout);
  context.stderr.write(result.stderr);
  return result.status;
}

function podCommand(found: KubernetesContext, context: CommandContext): PodCommand {
  const cluster = inPodOf(found, context.clock);
  return async (words) => {
    const { name } = await findApiserverPod(cluster, context.signal);
    const place = { namespace: cluster.namespace, pod: name, container: APISERVER_CONTAINER };
    return cluster.exec.run({ ...place, argv: ["mesh", ...words] }, context.signal);
  };
}

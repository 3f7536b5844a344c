// From a context's name to a connection to its cluster's operations plane: for `mesh events`,
// `mesh drill`. Where NATS can only be reached from somewhere else, the same command runs there:
// in the network namespace of a lab, in the apiserver's container of a Kubernetes cluster.
import { inPodOf } from "../connect/context-access.ts";
import { findApiserverPod } from "../connect/kubernetes-apiserver.ts";
import { openDirectoryOperations } from "../connect/operations-access.ts";
import { isKubernetesContext, listContexts, type KubernetesContext } from "../contexts/contexts.ts";
import { MeshError } from "../core/errors.ts";
import { APISERVER_CONTAINER } from "../kubernetes/object-names.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import type { CommandContext } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { findContext } from "./select-context.ts";

export interface OperationsWish {
  /** The only one of this machine if undefined. */
  readonly context?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly namespace?: string | undefined;
  /** The words after `mesh` that do the same inside a pod: without context and kubeconfig. */
  readonly wordsInPod: readonly string[];
}

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
  if (isKubernetesContext(found)) return runInApiserver(found, { words: wish.wordsInPod, context });
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

async function runInApiserver(
  found: KubernetesContext,
  { words, context }: { words: readonly string[]; context: CommandContext },
): Promise<number> {
  const pod = inPodOf(found, context.clock);
  const { name } = await findApiserverPod(pod, context.signal);
  const place = { namespace: pod.namespace, pod: name, container: APISERVER_CONTAINER };
  const result = await pod.exec.run({ ...place, argv: ["mesh", ...words] }, context.signal);
  context.stdout.write(result.stdout);
  context.stderr.write(result.stderr);
  return result.status;
}

async function onlyContext({ home }: CommandContext): Promise<string> {
  const names = await listContexts(home);
  const [name, ...more] = names;
  if (name !== undefined && more.length === 0) return name;
  throw new MeshError("invalid_argument", "Cannot choose a context: want --context NAME", {
    hint: name === undefined ? "there is none yet" : `there are: ${names.join(", ")}`,
  });
}

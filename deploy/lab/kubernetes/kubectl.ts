// Asks a Kubernetes cluster of the lab with kubectl, as its administrator, from the cluster's
// control namespace: nobody else reaches the kube-apiserver.
import { join } from "node:path";
import { commandOutput, inNamespace, runCommand } from "../../../mesh/core/child-process.ts";
import type { CommandResult } from "../../../mesh/core/child-process.ts";
import { namespacePath } from "../namespaces.ts";
import type { KubernetesCluster } from "./plan.ts";

/** kubectl itself, for whoever is in the control namespace already. */
export function kubectlArgv(
  plan: KubernetesCluster,
  args: readonly string[],
): [string, ...string[]] {
  return [
    "kubectl",
    `--kubeconfig=${plan.adminKubeconfig}`,
    // By default it fills the home of whoever calls it.
    `--cache-dir=${join(plan.directory, "kubectl-cache")}`,
    ...args,
  ];
}

export interface KubectlRun {
  readonly args: readonly string[];
  /** Written to its standard input: manifests for `apply -f -`. */
  readonly input?: string;
  readonly signal: AbortSignal;
}

/** Returns what it wrote; throws `internal` with what it said when it fails. */
export async function kubectl(plan: KubernetesCluster, run: KubectlRun): Promise<string> {
  return commandOutput(commandOf(plan, run), run.signal);
}

/** Resolves for every exit status. */
export async function tryKubectl(plan: KubernetesCluster, run: KubectlRun): Promise<CommandResult> {
  return runCommand(commandOf(plan, run), run.signal);
}

function commandOf(plan: KubernetesCluster, { args, input }: KubectlRun) {
  const namespace = namespacePath(plan.cluster.control.namespace);
  const argv = inNamespace(namespace, kubectlArgv(plan, args));
  return input === undefined ? { argv } : { argv, input };
}

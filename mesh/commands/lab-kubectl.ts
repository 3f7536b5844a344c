// `mesh lab kubectl`: kubectl as administrator of a Kubernetes cluster of a lab.
import { join } from "node:path";
import { runInLab } from "../../deploy/lab/enter.ts";
import { kubectlArgv } from "../../deploy/lab/kubernetes/kubectl.ts";
import { findKubernetesCluster } from "../../deploy/lab/kubernetes/plan.ts";
import { openLab } from "../../deploy/lab/lab.ts";
import { usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, parseLabArguments } from "./lab-options.ts";

const USAGE = `Usage: mesh lab kubectl [--name NAME] CLUSTER -- ARGUMENTS

Runs kubectl as administrator of the cluster, from where its Kubernetes API is reachable. Files and
standard input are the caller's; the exit status is kubectl's.

  --name NAME   name of the lab (lab)

Example:
  mesh lab kubectl east -- get pods --all-namespaces
`;

export const labKubectl: Command = {
  name: "lab kubectl",
  summary: "run kubectl on a cluster of a lab that was made with --source kubernetes",
  usage: USAGE,
  async run(args, context) {
    const dashes = args.indexOf("--");
    if (dashes < 0 || dashes === args.length - 1) {
      throw usageError(
        'Cannot run "mesh lab kubectl": no arguments for kubectl behind "--"',
        USAGE,
      );
    }
    const { values, positionals } = parseLabArguments(args.slice(0, dashes), {
      usage: USAGE,
      flags: { name: { type: "string", default: DEFAULT_LAB_NAME } },
      words: 1,
    });
    const { plan, cgroupRoot } = await openLab(values.name, context);
    const cluster = findKubernetesCluster(plan, positionals[0] ?? "");
    const { namespace, cgroup } = cluster.cluster.control;
    const place = { namespace, cgroup: join(cgroupRoot, plan.cgroup, cgroup, "exec") };
    return runInLab(place, kubectlArgv(cluster, args.slice(dashes + 1)));
  },
};

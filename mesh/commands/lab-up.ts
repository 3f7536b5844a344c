// `mesh lab up`: makes a whole mesh on this machine, or repairs what is missing of it.
import { readLabSize } from "../../deploy/lab/cluster-files.ts";
import { bringLabUp } from "../../deploy/lab/lab.ts";
import { labPaths, parseLabName } from "../../deploy/lab/plan.ts";
import { resolveSource } from "../../deploy/lab/source.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, labEnvironment, parseLabArguments } from "./lab-options.ts";

/** 128 and SIGINT's number, as shells have it. */
const STATUS_INTERRUPTED = 130;

const USAGE = `Usage: mesh lab up [--name NAME] [--source SOURCE] [--clusters A,B,…] [--nodes N]

Makes clusters from real parts: network namespaces as nodes, etcd, apiservers, agents, eBPF.
Nothing is made outside the lab's own namespaces. Running it again starts what has died.

With --source kubernetes every cluster is Kubernetes itself: kube-apiserver, controllers and
scheduler, nodes with kubelet and containerd, and Tombolo installed by \`mesh install\`. The programs
of Kubernetes come from the folder that KUBEBUILDER_ASSETS names. A lab keeps its source.

  --name NAME       name of the lab (lab)
  --source SOURCE   manifests or kubernetes (manifests)
  --clusters A,B    names of the clusters (east,west)
  --nodes N         nodes in each cluster (2)
  --no-install      with --source kubernetes: leave the clusters without Tombolo

Example:
  mesh lab up
  mesh connect east west
  mesh lab status
`;

export const labUp: Command = {
  name: "lab up",
  summary: "make a mesh of network namespaces on this machine, or repair it",
  usage: USAGE,
  async run(args, context) {
    const { values } = parseLabArguments(args, {
      usage: USAGE,
      flags: {
        name: { type: "string", default: DEFAULT_LAB_NAME },
        clusters: { type: "string", default: "east,west" },
        nodes: { type: "string", default: "2" },
        source: { type: "string" },
        "no-install": { type: "boolean" },
      },
    });
    const wanted = {
      name: values.name,
      clusters: values.clusters.split(","),
      nodesPerCluster: Number(values.nodes),
    };
    const request = {
      source: values.source,
      assets: context.kubernetesAssets,
      install: values["no-install"] === true ? false : undefined,
    };
    const recorded = await readLabSize(labPaths(parseLabName(values.name), context.home));
    const kubernetes = resolveSource(request, recorded);
    const size = kubernetes === undefined ? wanted : { ...wanted, kubernetes };
    const startMs = context.clock.monotonicMs();
    try {
      await bringLabUp(size, labEnvironment(context));
    } catch (error) {
      if (!context.signal.aborted) throw error;
      const flag = values.name === DEFAULT_LAB_NAME ? "" : ` --name ${values.name}`;
      context.stderr.write(
        `mesh: stopped half way; \`mesh lab up${flag}\` goes on from here, \`mesh lab down${flag}\` removes what is there\n`,
      );
      return STATUS_INTERRUPTED;
    }
    const seconds = ((context.clock.monotonicMs() - startMs) / 1000).toFixed(1);
    context.stdout.write(
      `lab "${values.name}" is up (${seconds} s): ${size.clusters.join(", ")}\n`,
    );
    if (kubernetes !== undefined) {
      const flag = values.name === DEFAULT_LAB_NAME ? "" : `--name ${values.name} `;
      const words = `mesh lab kubectl ${flag}${size.clusters[0]} -- get nodes`;
      context.stderr.write(`mesh: \`${words}\` asks the first of them\n`);
    }
    return 0;
  },
};

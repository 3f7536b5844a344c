// Runs a command in a pod, a node or a control namespace of the lab, with the caller's terminal.
// The command lives in the lab's cgroups, so `lab down` ends it like everything else.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { MeshError } from "../../mesh/core/errors.ts";
import { createCgroup } from "./cgroups.ts";
import { findKubernetesNode } from "./kubernetes/plan.ts";
import { findCluster } from "./plan.ts";
import { findPodPlace } from "./pods.ts";
import type { PodHost } from "./pods.ts";
import { enteringArgv } from "./processes.ts";
import { requireManifests } from "./source.ts";

export interface LabPlace {
  readonly namespace: string;
  /** File on which a mount namespace is pinned; the machine's own by default. */
  readonly mountNamespace?: string;
  readonly cgroup: string;
}

/**
 * Finds what an address names: CLUSTER/NAMESPACE/POD, CLUSTER/NODE, CLUSTER/control, or
 * CLUSTER/POD for a pod of the namespace "default". Throws `not_found` or `invalid_argument`.
 */
export async function findLabPlace(host: PodHost, address: string): Promise<LabPlace> {
  const [clusterName = "", first = "", second, ...rest] = address.split("/");
  if (clusterName === "" || first === "" || second === "" || rest.length > 0) {
    throw new MeshError(
      "invalid_argument",
      `Cannot find "${address}" in the lab: want CLUSTER/NAMESPACE/POD or CLUSTER/NODE`,
    );
  }
  const cluster = findCluster(host.plan, clusterName);
  const members = [cluster.control, ...cluster.nodes];
  const member = members.find((candidate) => [candidate.member, candidate.name].includes(first));
  if (second === undefined && member !== undefined) {
    const cgroup = join(host.cgroupRoot, host.plan.cgroup, member.cgroup, "exec");
    const kubernetes = findKubernetesNode(host.plan, member);
    const mounts = kubernetes === undefined ? {} : { mountNamespace: kubernetes.mountNamespace };
    return { namespace: member.namespace, cgroup, ...mounts };
  }
  requireManifests(host.plan, `enter "${address}"`);
  return findPodPlace(host, {
    cluster: clusterName,
    namespace: second === undefined ? "default" : first,
    name: second ?? first,
  });
}

/** Resolves with the command's exit status; 128 + n when signal n ended it. */
export async function runInLab(place: LabPlace, argv: readonly string[]): Promise<number> {
  await createCgroup(place.cgroup);
  const [program, ...args] = enteringArgv({ ...place, argv });
  // Not bound to the caller's signal: a terminal interrupts the command itself, and the command
  // decides what that means.
  const child = spawn(program, args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", (cause) =>
      reject(new MeshError("internal", `Cannot run "${argv[0]}" in the lab`, { cause })),
    );
    child.once("close", (status, name) =>
      resolve(status ?? 128 + (name === null ? 0 : constants.signals[name])),
    );
  });
}

// What the lab writes down: its own record, each cluster's directory with profile, keys and
// manifests, each node's directory, and the contexts and node files by which `mesh` finds them.
import { mkdir, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import {
  isKubernetesContext,
  listContexts,
  readContext,
  writeContext,
} from "../../mesh/contexts/contexts.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { initialisePki } from "../../pki/files.ts";
import { agentConfig, apiserverConfig } from "./daemons.ts";
import { namespaceManifest, nodeManifest, writeManifest } from "./manifests.ts";
import { writeJson } from "./json-file.ts";
import { namespacePath } from "./namespaces.ts";
import { ETCD_PORT, JOIN_PORT, labNodes, linkAddress } from "./plan.ts";
import type { LabCluster, LabNode, LabPaths, LabPlan, LabSize } from "./plan.ts";

/** The namespace that every Kubernetes cluster has. */
const DEFAULT_NAMESPACE = "default";

/** Undefined when there is no lab of that name here. */
export async function readLabSize(paths: LabPaths): Promise<LabSize | undefined> {
  const text = await readIfThere(paths.record);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as LabSize;
  } catch (cause) {
    throw new MeshError("data_loss", `Cannot parse lab record "${paths.record}" as JSON`, {
      cause,
      hint: "`mesh lab down` removes the lab",
    });
  }
}

/** The home that a running lab of this name belongs to. */
export async function readLabOwner(paths: LabPaths): Promise<string | undefined> {
  const text = await readIfThere(paths.owner);
  if (text === undefined) return undefined;
  try {
    return (JSON.parse(text) as { home: string }).home;
  } catch {
    // Cut short by a crash: nobody can claim it.
    return undefined;
  }
}

/** Written before anything else is made, so that `down` knows what to look for. */
export async function writeLabRecord(plan: LabPlan): Promise<void> {
  const { name, clusters, nodesPerCluster, kubernetes, paths } = plan;
  await mkdir(paths.root, { recursive: true, mode: 0o700 });
  await mkdir(paths.runtime, { recursive: true, mode: 0o700 });
  await writeJson(paths.record, { name, clusters, nodesPerCluster, kubernetes });
  await writeJson(paths.owner, { home: paths.home });
}

/** Throws `conflict` when a context of that name leads to a cluster that is not this lab's. */
export async function checkContexts(plan: LabPlan): Promise<void> {
  const names = await listContexts(plan.paths.home);
  for (const cluster of plan.members.filter(({ name }) => names.includes(name))) {
    const context = await readContext(plan.paths.home, cluster.name);
    const leadsTo = isKubernetesContext(context) ? context.kubeconfig : context.directory;
    if (leadsTo === cluster.directory || leadsTo.startsWith(`${cluster.directory}/`)) continue;
    throw new MeshError(
      "conflict",
      `Cannot make cluster "${cluster.name}" in lab "${plan.name}": the context of that name leads to "${leadsTo}"`,
      { hint: "choose other cluster names with --clusters" },
    );
  }
}

/** Profile, directories, Node and Namespace manifests, daemons' configurations, contexts. */
export async function writeClusterFiles(
  plan: LabPlan,
  options: { cgroupRoot: string; nowMs: number },
): Promise<void> {
  await Promise.all(
    plan.members.map((cluster) => writeCluster(plan, { cluster, nowMs: options.nowMs })),
  );
  await Promise.all(labNodes(plan).map((node) => writeNode(plan, node, options.cgroupRoot)));
}

/** Removes contexts and node files that lead into the lab, then everything the lab keeps. */
export async function removeLabFiles({ home, root, runtime }: LabPaths): Promise<void> {
  for (const directory of ["contexts", "nodes"].map((name) => join(home, name))) {
    for (const name of await listFiles(directory)) {
      const path = join(directory, name);
      // By what the file says, not by what the lab's record says: that may be lost.
      if ((await readIfThere(path))?.includes(`"${root}/`) === true) await rm(path);
    }
  }
  await rm(root, { recursive: true, force: true });
  await rm(runtime, { recursive: true, force: true });
  const shared = ["contexts", "nodes", "lab", "."].map((name) => join(home, name));
  for (const directory of [...shared, dirname(runtime)]) await removeIfEmpty(directory);
}

async function writeCluster(
  plan: LabPlan,
  { cluster, nowMs }: { cluster: LabCluster; nowMs: number },
): Promise<void> {
  const paths = clusterPaths(cluster.directory);
  for (const directory of [paths.root, paths.manifests, paths.peers, paths.run]) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }
  await initialisePki(paths.pki, { cluster: cluster.name, nowMs });
  const address = linkAddress(cluster.control, 4);
  await writeJson(paths.profile, {
    name: cluster.name,
    id: cluster.id,
    maxConnectedClusters: 255,
    etcdEndpoints: [`https://${address}:${ETCD_PORT}`],
    joinEndpoint: `${address}:${JOIN_PORT}`,
  });
  await writeJson(join(paths.run, "apiserver.json"), apiserverConfig(cluster));
  await writeManifest(paths.manifests, namespaceManifest(DEFAULT_NAMESPACE));
  await Promise.all(
    cluster.nodes.map((node) => writeManifest(paths.manifests, nodeManifest(node))),
  );
  await writeContext(plan.paths.home, {
    name: cluster.name,
    directory: cluster.directory,
    networkNamespace: namespacePath(plan.routerNamespace),
  });
}

async function writeNode(plan: LabPlan, node: LabNode, cgroupRoot: string): Promise<void> {
  await mkdir(node.stateDirectory, { recursive: true, mode: 0o700 });
  await mkdir(node.bpfRoot, { recursive: true, mode: 0o700 });
  await writeJson(join(node.directory, "agent.json"), agentConfig(plan, { node, cgroupRoot }));
  await mkdir(join(plan.paths.home, "nodes"), { recursive: true, mode: 0o700 });
  const { socket, bpfRoot } = node;
  await writeJson(join(plan.paths.home, "nodes", `${node.name}.json`), { socket, bpfRoot });
}

async function listFiles(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function removeIfEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}

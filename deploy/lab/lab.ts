// The lab as a whole: brings it up (which is also how it is repaired), tells what lives, and
// takes it down to the last file. Each kind of thing has its own file beside this one.
import { join } from "node:path";
import type { Clock } from "../../mesh/core/clock.ts";
import { findCgroup2, mountBpffs } from "../../bpf/mounts.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { removeBpffs } from "./bpf-mount.ts";
import { createCgroup, removeCgroup } from "./cgroups.ts";
import { readLabSize, removeLabFiles, writeClusterFiles, writeLabRecord } from "./cluster-files.ts";
import { awaitReady, labDaemons, startDaemons } from "./daemons.ts";
import { ensureImage, ensureLabImage } from "../images/build.ts";
import { checkAssets } from "./kubernetes/assets.ts";
import { makeKubernetesLab, removeClusterMounts, type LabImages } from "./kubernetes/lab.ts";
import { withLabLock } from "./lock.ts";
import {
  deleteNamespaces,
  ensureNamespaces,
  listNamespaces,
  releaseNamespaceDirectory,
} from "./namespaces.ts";
import { labNames, labNodes, labPaths, parseLabName, planLab } from "./plan.ts";
import type { LabKubernetes, LabPaths, LabPlan, LabSize } from "./plan.ts";
import { createPod, listPods, podText } from "./pods.ts";
import type { PodHost } from "./pods.ts";
import { checkNameIsOurs, checkOwner, checkInstallation, checkRoot } from "./preflight.ts";
import { createStepper, type LabStep } from "./steps.ts";

export interface LabEnvironment {
  readonly home: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told what was done and how long it took. */
  readonly progress: (step: LabStep) => void;
}

/** Makes the lab, or what is missing of it, and resolves when every daemon is ready. */
export async function bringLabUp(size: LabSize, environment: LabEnvironment): Promise<PodHost> {
  const plan = planLab(size, environment.home);
  checkRoot("make");
  await checkInstallation();
  if (plan.kubernetes !== undefined) await checkAssets(plan.kubernetes.assets);
  return withLabLock(plan.name, () => makeLab(plan, environment));
}

async function makeLab(plan: LabPlan, environment: LabEnvironment): Promise<PodHost> {
  const { clock, signal } = environment;
  const cgroupRoot = findCgroup2();
  const cgroup = join(cgroupRoot, plan.cgroup);
  await checkNameIsOurs(plan, cgroup);
  const step = createStepper(environment);
  if (plan.kubernetes !== undefined) {
    const images = await ensureLabImages(plan.kubernetes, environment);
    await makeKubernetesLab(plan, { cgroupRoot, clock, signal, step, images });
    return { plan, cgroupRoot, clock };
  }
  await step("namespaces, links, cgroups, keys", async () => {
    await writeLabRecord(plan);
    await mountBpffs(plan.paths.bpf, signal);
    await Promise.all([
      ensureNamespaces(plan, signal),
      writeClusterFiles(plan, { cgroupRoot, nowMs: clock.nowMs() }),
      ...labNodes(plan).map((node) => createCgroup(join(cgroup, node.podsCgroup))),
    ]);
    return `${plan.clusters.length} clusters, ${labNodes(plan).length} nodes`;
  });
  await step("daemons", async () => {
    const daemons = labDaemons(plan, cgroupRoot);
    const started = await startDaemons(daemons, { clock, signal });
    await Promise.all(daemons.map((daemon) => awaitReady(daemon, { clock, signal })));
    const running = daemons.length - started.length;
    return running === 0
      ? `started ${started.length}`
      : `started ${started.length}, kept ${running}`;
  });
  const host: PodHost = { plan, cgroupRoot, clock };
  await step("pods", () => restorePods(host, signal));
  return host;
}

/** Built if they are not there, which takes minutes the first time. */
async function ensureLabImages(
  { install }: LabKubernetes,
  { clock, signal, progress }: LabEnvironment,
): Promise<LabImages> {
  const startMs = clock.monotonicMs();
  const say = (text: string): void =>
    progress({ text, ms: Math.round(clock.monotonicMs() - startMs) });
  const sandbox = await ensureLabImage({ say, clock }, signal);
  return { sandbox, tombolo: install ? await ensureImage({ say, clock }, signal) : undefined };
}

/** Opens a lab that was brought up before; throws `not_found` if there is none. */
export async function openLab(
  name: string,
  { home, clock }: { home: string; clock: Clock },
): Promise<PodHost> {
  const paths = labPaths(parseLabName(name), home);
  const size = await readLabSize(paths);
  if (size === undefined) {
    throw new MeshError("not_found", `Cannot find lab "${name}" in "${home}"`, {
      hint: name === "lab" ? "`mesh lab up` makes it" : `\`mesh lab up --name ${name}\` makes it`,
    });
  }
  checkRoot("enter");
  return { plan: planLab(size, home), cgroupRoot: findCgroup2(), clock };
}

/**
 * Removes everything that carries the lab's name, in whatever state it is. Taking down a lab that
 * does not exist is success.
 */
export async function takeLabDown(name: string, environment: LabEnvironment): Promise<void> {
  const paths = labPaths(parseLabName(name), environment.home);
  checkRoot("remove");
  await withLabLock(name, async () => {
    await checkOwner({ name, paths });
    await removeLab({ name, paths }, environment);
  });
}

async function removeLab(
  { name, paths }: { name: string; paths: LabPaths },
  environment: LabEnvironment,
): Promise<void> {
  const { clock, signal } = environment;
  const cgroupRoot = findCgroup2();
  const step = createStepper(environment);
  // Processes first: what is dead can neither hold the rest nor make it anew.
  await step("processes", async () => {
    await removeCgroup(join(cgroupRoot, labNames(name).cgroup), { clock, signal });
    return "ended";
  });
  await removeClusterMounts({ paths, ...labNames(name) }, { clock, signal });
  const namespaces = await listNamespaces(labNames(name).namespacePrefix);
  await step("namespaces", async () => {
    await deleteNamespaces(namespaces, signal);
    await releaseNamespaceDirectory(signal);
    return `removed ${namespaces.length}`;
  });
  await step("pins, mount, files", async () => {
    await removeBpffs(paths.bpf, signal);
    await removeLabFiles(paths);
    return "removed";
  });
}

/** Brings back pods whose process, namespace or node was lost. */
async function restorePods(host: PodHost, signal: AbortSignal): Promise<string> {
  const pods = await listPods(host);
  const failed: MeshError[] = [];
  await Promise.all(
    pods.map(async (pod) => {
      await createPod(host, pod, signal).catch((cause: unknown) => {
        failed.push(
          new MeshError("unavailable", `Cannot bring back pod "${podText(pod)}"`, { cause }),
        );
      });
    }),
  );
  if (failed[0] !== undefined) throw failed[0];
  const dead = pods.filter(({ running }) => !running).length;
  return `${pods.length} there, ${dead} restarted`;
}

// The lab as kubelet: makes, restarts and removes pods. A pod is a network namespace attached by
// the real CNI plugin, a cgroup, one process, and a Pod manifest that says when it is ready.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { withTimeout } from "../../mesh/core/clock.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import { addressesOfResult, callCni, type CniCall, type CniResult } from "./cni-runtime.ts";
import { nodeArgv } from "./daemons.ts";
import { writeJson } from "./json-file.ts";
import { deleteManifest, namespaceManifest, podManifest, writeManifest } from "./manifests.ts";
import type { ContainerPort } from "./manifests.ts";
import { addNamespaces, deleteNamespaces, ipBatch, namespaceExists } from "./namespaces.ts";
import { findCluster, findNode } from "./plan.ts";
import type { LabNode, LabPlan } from "./plan.ts";
import { readAliveProcess, startProcess, stopProcess } from "./processes.ts";
import type { ProcessSpec } from "./processes.ts";

const ECHO = fileURLToPath(new URL("workload/echo.ts", import.meta.url));
/** RFC 1123 labels, as Kubernetes has them; pod names may also hold dots. */
const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const POD_NAME = /^[a-z0-9]([-a-z0-9.]{0,98}[a-z0-9])?$/;
const READY_LIMIT_MS = 20_000;
const READY_POLL_MS = 20;

/** What the pod runs. `echo` answers each request with "CLUSTER/POD". */
export type Workload =
  | { readonly kind: "echo"; readonly port: number }
  | { readonly kind: "command"; readonly argv: readonly string[] };

/** What somebody wants to run; kept as a file, so that `lab up` can bring it back. */
export interface PodSpec {
  readonly cluster: string;
  /** "node1" … */
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly workload: Workload;
  readonly ports: readonly ContainerPort[];
}

export interface PodStatus extends PodSpec {
  readonly addresses: readonly string[];
  readonly running: boolean;
  readonly restarts: number;
}

/** Written once the pod has its addresses. */
interface PodRecord extends PodSpec {
  readonly uid: string;
  readonly containerId: string;
  readonly addresses: readonly string[];
  readonly restarts: number;
  /** What the plugin answered; undefined until it has. */
  readonly attachment?: CniResult;
}

export interface PodHost {
  readonly plan: LabPlan;
  readonly cgroupRoot: string;
  readonly clock: Clock;
}

/** Makes the pod and returns when it is ready. A pod of that name that runs is left alone. */
export async function createPod(
  host: PodHost,
  wanted: PodSpec,
  signal: AbortSignal,
): Promise<PodStatus> {
  const spec = specFromPod(wanted);
  validatePod(spec);
  const place = placePod(host, spec);
  const existing = await readPodRecord(place.recordFile);
  if (existing !== undefined && existing.node !== spec.node) {
    throw new MeshError(
      "already_exists",
      `Cannot create pod "${podText(spec)}" on "${spec.node}": it runs on "${existing.node}"`,
    );
  }
  const attached = existing !== undefined && (await isAttached(existing, { place, signal }));
  const record = attached ? existing : await attachPod(host, { spec, place, existing, signal });
  const process = podProcess(place, spec);
  if ((await readAliveProcess(process.recordFile)) === undefined) {
    await rm(place.readyFile, { force: true });
    await startProcess(process, { clock: host.clock, signal });
    const restarts = attached ? record.restarts + 1 : record.restarts;
    await writeJson(place.recordFile, { ...record, ...spec, restarts });
    if (spec.workload.kind === "echo") await awaitReadyFile(host, { place, spec, signal });
  }
  const manifest = podManifest({ ...record, ...spec, ready: true }, place.node);
  await writeManifest(place.manifests, namespaceManifest(spec.namespace));
  await writeManifest(place.manifests, manifest);
  return { ...record, ...spec, running: true };
}

export interface PodDeletion {
  /** How long a pod that is no longer ready goes on serving; Kubernetes' preStop sleep. */
  readonly graceMs: number;
}

/** Marks the pod not ready, lets it serve for the grace, ends it, takes its address back. */
export async function deletePod(
  host: PodHost,
  pod: Pick<PodSpec, "cluster" | "namespace" | "name">,
  { graceMs, signal }: PodDeletion & { signal: AbortSignal },
): Promise<void> {
  const recordFile = podRecordFile(host.plan, pod);
  const record = await readPodRecord(recordFile);
  if (record === undefined) {
    throw new MeshError("not_found", `Cannot delete pod "${podText(pod)}": there is none`);
  }
  const place = placePod(host, record);
  if (record.addresses.length > 0) {
    const deletionTimestamp = new Date(host.clock.nowMs()).toISOString();
    const leaving = podManifest({ ...record, ready: false, deletionTimestamp }, place.node);
    await writeManifest(place.manifests, leaving);
    await host.clock.sleep(graceMs, signal);
  }
  await stopProcess(podProcess(place, record), { clock: host.clock, signal });
  await detachPod(place, { record, signal });
  await deleteManifest(place.manifests, { kind: "Pod", metadata: podMetadata(record) });
  await rm(place.readyFile, { force: true });
  await rm(recordFile, { force: true });
}

/** Every pod of the lab, running or not, in the order of their names. */
export async function listPods(host: PodHost): Promise<PodStatus[]> {
  const names = await readdir(host.plan.paths.pods).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith(".json")).sort();
  const pods = await Promise.all(
    files.map(async (name) => {
      const record = await readPodRecord(join(host.plan.paths.pods, name));
      if (record === undefined) return [];
      const { recordFile } = podProcess(placePod(host, record), record);
      return [{ ...record, running: (await readAliveProcess(recordFile)) !== undefined }];
    }),
  );
  return pods.flat();
}

/** Where a pod's processes belong; throws `not_found` with the pods there are. */
export async function findPodPlace(
  host: PodHost,
  pod: Pick<PodSpec, "cluster" | "namespace" | "name">,
): Promise<{ readonly namespace: string; readonly cgroup: string }> {
  const record = await readPodRecord(podRecordFile(host.plan, pod));
  if (record !== undefined) return placePod(host, record);
  const names = (await listPods(host)).map(podText);
  throw new MeshError("not_found", `Cannot find pod "${podText(pod)}"`, {
    hint: names.length === 0 ? "there are no pods" : `there are: ${names.join(", ")}`,
  });
}

/** "CLUSTER/NAMESPACE/POD" */
export function podText(pod: Pick<PodSpec, "cluster" | "namespace" | "name">): string {
  return `${pod.cluster}/${pod.namespace}/${pod.name}`;
}

/** Only what is wanted: a status that is passed as one must not bring back old addresses. */
function specFromPod(pod: PodSpec): PodSpec {
  const { cluster, node, namespace, name, labels, serviceAccount, workload, ports } = pod;
  return { cluster, node, namespace, name, labels, serviceAccount, workload, ports };
}

function validatePod(spec: PodSpec): void {
  const reason = !NAMESPACE_NAME.test(spec.namespace)
    ? `"${spec.namespace}" is no Kubernetes namespace name`
    : !POD_NAME.test(spec.name)
      ? `"${spec.name}" is no pod name of at most 100 characters`
      : spec.workload.kind === "command" && spec.workload.argv.length === 0
        ? "it has no command"
        : undefined;
  if (reason === undefined) return;
  throw new MeshError("invalid_argument", `Cannot create pod "${podText(spec)}": ${reason}`);
}

interface PodPlace {
  readonly node: LabNode;
  readonly namespace: string;
  readonly cgroup: string;
  readonly manifests: string;
  readonly recordFile: string;
  readonly processFile: string;
  readonly readyFile: string;
  readonly logFile: string;
}

function podRecordFile(
  plan: LabPlan,
  pod: Pick<PodSpec, "cluster" | "namespace" | "name">,
): string {
  return join(plan.paths.pods, `${pod.cluster}.${pod.namespace}.${pod.name}.json`);
}

function placePod({ plan, cgroupRoot }: PodHost, spec: PodSpec): PodPlace {
  const cluster = findCluster(plan, spec.cluster);
  const node = findNode(cluster, spec.node);
  const id = `${spec.namespace}.${spec.name}`;
  return {
    node,
    // Neither clusters nor namespaces have dots in their names, so this names one pod only.
    namespace: `${plan.namespacePrefix}${spec.cluster}-pod.${id}`,
    cgroup: join(cgroupRoot, plan.cgroup, node.podsCgroup, id),
    manifests: clusterPaths(cluster.directory).manifests,
    recordFile: podRecordFile(plan, spec),
    processFile: join(plan.paths.run, `${spec.cluster}.pod.${id}.json`),
    readyFile: join(plan.paths.run, `${spec.cluster}.pod.${id}.ready`),
    logFile: join(plan.paths.logs, `${spec.cluster}.pod.${id}.log`),
  };
}

function podProcess(place: PodPlace, spec: PodSpec): ProcessSpec {
  const argv =
    spec.workload.kind === "command"
      ? spec.workload.argv
      : nodeArgv(ECHO, [
          "--name",
          `${spec.cluster}/${spec.name}`,
          "--port",
          String(spec.workload.port),
          "--ready-file",
          place.readyFile,
        ]);
  const { namespace, cgroup, logFile } = place;
  return { name: podText(spec), argv, namespace, cgroup, logFile, recordFile: place.processFile };
}

/** Whether the plugin finds all that it gave the pod; losing its node's namespace costs it that. */
async function isAttached(
  record: PodRecord,
  { place, signal }: { place: PodPlace; signal: AbortSignal },
): Promise<boolean> {
  if (record.attachment === undefined || !(await namespaceExists(place.namespace))) return false;
  try {
    await callCni(
      { ...cniCall(place, record), command: "CHECK", prevResult: record.attachment },
      signal,
    );
    return true;
  } catch (error) {
    if (isMeshError(error, "conflict") || isMeshError(error, "not_found")) return false;
    throw error;
  }
}

function cniCall(place: PodPlace, record: PodRecord): Omit<CniCall, "command"> {
  const { node, namespace } = place;
  return { node, containerId: record.containerId, namespace, pod: record };
}

/** A new sandbox: what an earlier, broken one still holds is given back first. */
async function attachPod(
  host: PodHost,
  request: {
    readonly spec: PodSpec;
    readonly place: PodPlace;
    readonly existing: PodRecord | undefined;
    readonly signal: AbortSignal;
  },
): Promise<PodRecord> {
  const { spec, place, existing, signal } = request;
  await mkdir(host.plan.paths.pods, { recursive: true, mode: 0o700 });
  if (existing !== undefined) {
    await stopProcess(podProcess(place, existing), { clock: host.clock, signal });
    await detachPod(place, { record: existing, signal });
  }
  const restarts = existing === undefined ? 0 : existing.restarts + 1;
  const containerId = hashText(`${place.namespace} ${restarts} ${host.clock.nowMs()}`);
  const uid = existing?.uid ?? uidFromHash(containerId);
  const pending: PodRecord = { ...spec, uid, containerId, addresses: [], restarts };
  // Before the namespace is made: whatever happens now, `delete` and `up` know of it.
  await writeJson(place.recordFile, pending);
  // As under Kubernetes the pod is bound to its node before it has a network: its policy is ready
  // when its interface comes.
  await writeManifest(place.manifests, namespaceManifest(spec.namespace));
  await writeManifest(place.manifests, podManifest({ ...pending, ready: false }, place.node));
  await addNamespaces([place.namespace], signal);
  await ipBatch({ namespace: place.namespace, lines: ["link set lo up"] }, signal);
  const attachment = await callCni({ ...cniCall(place, pending), command: "ADD" }, signal);
  const record = { ...pending, attachment, addresses: addressesOfResult(attachment) };
  await writeJson(place.recordFile, record);
  return record;
}

async function detachPod(
  place: PodPlace,
  { record, signal }: { record: PodRecord; signal: AbortSignal },
): Promise<void> {
  await callCni({ ...cniCall(place, record), command: "DEL" }, signal);
  if (await namespaceExists(place.namespace)) await deleteNamespaces([place.namespace], signal);
}

async function awaitReadyFile(
  host: PodHost,
  { place, spec, signal }: { place: PodPlace; spec: PodSpec; signal: AbortSignal },
): Promise<void> {
  const what = `Cannot bring up pod "${podText(spec)}" (its log is ${place.logFile})`;
  await withTimeout(
    async (inner) => {
      for (;;) {
        const ready = await readFile(place.readyFile, "utf8").catch(() => undefined);
        if (ready !== undefined) return;
        await host.clock.sleep(READY_POLL_MS, inner);
      }
    },
    { ms: READY_LIMIT_MS, what, clock: host.clock, signal },
  );
}

async function readPodRecord(path: string): Promise<PodRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as PodRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MeshError("data_loss", `Cannot read pod record "${path}"`, { cause: error });
  }
}

function podMetadata({ name, namespace }: PodSpec): { name: string; namespace: string } {
  return { name, namespace };
}

function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** In the form of a UUID, as Kubernetes' uids have it. */
function uidFromHash(hash: string): string {
  const parts = [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20)];
  return [...parts, hash.slice(20, 32)].join("-");
}

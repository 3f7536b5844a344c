// Takes Tombolo out of a cluster: agents end, every node is cleaned, every object goes. Each step
// looks at what is there, so an interrupted removal goes on where it was.
import { isMeshError, MeshError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import {
  AGENT_NAME,
  AGENT_SECRET,
  AUTHORITY_SECRET,
  CONNECT_LEASE,
  INVITES_SECRET,
  PEER_LABEL,
  READERS_CONFIG_MAP,
} from "../kubernetes/object-names.ts";
import { deleteObject, listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { CLEANUP_NAME } from "./agent-workload.ts";
import { listManagedObjects } from "./apply.ts";
import { cleanNodes, endAgents } from "./clean-nodes.ts";
import { remarkPods } from "./networked-pods.ts";
import { readConnectedPeers, readInstalled, type LabelledObject } from "./installed.ts";
import {
  describeManifest,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  manifestPath,
  NAMESPACE_LABEL,
  type Manifest,
} from "./manifest.ts";
import { renderObjects } from "./render.ts";
import { parseSettings, type InstallSettings } from "./settings.ts";

export interface UninstallOptions {
  readonly namespace: string;
  /** Also while peers are connected. */
  readonly force: boolean;
  /** Go on without nodes that do not answer. */
  readonly skipNodes: boolean;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** What is being done, one line each. */
  readonly onStep: (line: string) => void;
}

export interface UninstallResult {
  readonly removed: readonly string[];
  /** Nodes that were cleaned, and those that did not answer and were left. */
  readonly cleanedNodes: readonly string[];
  readonly skippedNodes: readonly string[];
}

const POLL_MS = 500;

/** Throws `conflict` while peers are connected, `deadline_exceeded` naming nodes that are silent. */
export async function uninstall(
  transport: KubernetesTransport,
  options: UninstallOptions,
  signal: AbortSignal,
): Promise<UninstallResult> {
  const { namespace, onStep } = options;
  const space = await readNamespaceObject(transport, namespace, signal);
  const objects = { namespace, onStep };
  if (space === undefined) {
    const removed = await removeObjects(transport, { ...objects, isGone: true }, signal);
    return { removed, cleanedNodes: [], skippedNodes: [] };
  }
  if (!options.force) await refusePeers(transport, namespace, signal);
  const settings = await cleaningSettings(transport, namespace, signal);
  let nodes: Awaited<ReturnType<typeof cleanNodes>> = { cleaned: [], skipped: [] };
  if (settings !== undefined) {
    if (settings.cni === "network") await remarkPods(transport, onStep, signal);
    await endAgents(transport, options, signal);
    nodes = await cleanNodes(transport, { ...options, settings }, signal);
  }
  const removed = await removeObjects(transport, { ...objects, isGone: false }, signal);
  const { labels, deletionTimestamp } = space.metadata;
  // One that somebody else deletes is waited for too: nothing can be installed before.
  if (labels?.[MANAGED_BY_LABEL] === MANAGED_BY || deletionTimestamp !== undefined) {
    await removeNamespace(transport, options, signal);
    removed.push(`Namespace ${namespace}`);
  } else if (removed.length > 0) {
    onStep(`Namespace ${namespace} stays: \`mesh install\` has not made it`);
  }
  return { removed, cleanedNodes: nodes.cleaned, skippedNodes: nodes.skipped };
}

async function refusePeers(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const peers = await readConnectedPeers(transport, namespace, signal);
  if (peers.length === 0) return;
  const [first] = peers;
  throw new MeshError(
    "conflict",
    `Cannot uninstall Tombolo: it is connected with ${peers.join(", ")}`,
    { hint: `\`mesh disconnect\` each first (${first} …); --force leaves them with a dead peer` },
  );
}

/**
 * What to clean nodes with: settings as installed, the image that runs there. Undefined when the
 * configuration is gone already, which goes after the nodes are clean.
 */
async function cleaningSettings(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<InstallSettings | undefined> {
  const installed = await readInstalled(transport, namespace, signal);
  if (installed === undefined) return undefined;
  const image =
    (await readImage(transport, { namespace, name: AGENT_NAME }, signal)) ??
    (await readImage(transport, { namespace, name: CLEANUP_NAME }, signal)) ??
    installed.settings?.image;
  if (image === undefined) return undefined; // No agent ever ran.
  return { ...(installed.settings ?? anySettings(namespace)), image };
}

async function readImage(
  transport: KubernetesTransport,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`;
  const object = await readObject<LabelledObject & DaemonSetSpec>(transport, path, signal);
  return object?.spec?.template?.spec?.containers?.[0]?.image;
}

interface DaemonSetSpec {
  readonly spec?: {
    readonly template?: {
      readonly spec?: { readonly containers?: readonly { readonly image?: string }[] };
    };
  };
}

/** For names and kinds, which do not depend on what a cluster is called. */
function anySettings(namespace: string): InstallSettings {
  return { ...parseSettings({ "cluster-name": "any", "cluster-id": "1" }, "0.0.0"), namespace };
}

/** Everything but the namespace itself; returns what was there. */
async function removeObjects(
  transport: KubernetesTransport,
  place: {
    readonly namespace: string;
    /** The namespace is gone, and with it everything in it. */
    readonly isGone: boolean;
    readonly onStep: (line: string) => void;
  },
  signal: AbortSignal,
): Promise<string[]> {
  const { namespace, isGone, onStep } = place;
  const rendered = renderObjects(anySettings(namespace));
  const managed = await listManagedObjects(transport, namespace, signal);
  const state = isGone ? [] : await listState(transport, namespace, signal);
  const removed: string[] = [];
  // Last what others stand on: nobody writes a Secret again once the workloads are gone.
  for (const object of [...rendered, ...managed].reverse().concat(state)) {
    if (object.kind === "Namespace") continue;
    if (isGone && object.metadata.namespace !== undefined) continue;
    if (await isOthers(transport, { object, namespace }, signal)) continue;
    if (!(await deleteObject(transport, { path: pathOf(object) }, signal))) continue;
    removed.push(describeManifest(object));
    onStep(`removed ${describeManifest(object)}`);
  }
  return removed;
}

/** What the apiserver and `mesh` keep in the cluster; with it goes what other clusters trust. */
async function listState(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<Manifest[]> {
  const core = `/api/v1/namespaces/${namespace}`;
  const selector = encodeURIComponent(PEER_LABEL);
  const peers = await listObjects(transport, `${core}/secrets?labelSelector=${selector}`, signal);
  const secrets = [
    ...peers.map(({ metadata }) => metadata.name),
    AGENT_SECRET,
    INVITES_SECRET,
    AUTHORITY_SECRET,
  ];
  const object = (kind: string, name: string): Manifest => ({
    apiVersion: kind === "Lease" ? "coordination.k8s.io/v1" : "v1",
    kind,
    metadata: { name, namespace },
  });
  return [
    ...secrets.map((name) => object("Secret", name)),
    object("ConfigMap", READERS_CONFIG_MAP),
    object("Lease", CONNECT_LEASE),
  ];
}

function pathOf(object: Manifest): string {
  const { kind, metadata } = object;
  const { name, namespace = "" } = metadata;
  if (kind === "Secret") return `/api/v1/namespaces/${namespace}/secrets/${name}`;
  if (kind === "Lease") {
    return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
  }
  return manifestPath(object);
}

/** A ClusterRole of our name that says that it belongs to another namespace's installation. */
async function isOthers(
  transport: KubernetesTransport,
  { object, namespace }: { readonly object: Manifest; readonly namespace: string },
  signal: AbortSignal,
): Promise<boolean> {
  if (object.metadata.namespace !== undefined) return false;
  const found = await readObject<LabelledObject>(transport, manifestPath(object), signal);
  const owner = found?.metadata.labels?.[NAMESPACE_LABEL];
  return owner !== undefined && owner !== namespace;
}

function readNamespaceObject(
  transport: KubernetesTransport,
  name: string,
  signal: AbortSignal,
): Promise<LabelledObject | undefined> {
  return readObject<LabelledObject>(transport, `/api/v1/namespaces/${name}`, signal);
}

async function removeNamespace(
  transport: KubernetesTransport,
  { namespace, clock, timeoutMs, onStep }: UninstallOptions,
  signal: AbortSignal,
): Promise<void> {
  onStep(`removing Namespace ${namespace}`);
  const deadline = clock.monotonicMs() + timeoutMs;
  // While pods end, Kubernetes looks at a namespace that goes less and less often.
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  while ((await listObjects(transport, pods, signal)).length > 0) {
    if (clock.monotonicMs() >= deadline) break;
    await clock.sleep(POLL_MS, signal);
  }
  try {
    await deleteObject(transport, { path: `/api/v1/namespaces/${namespace}` }, signal);
  } catch (error) {
    // It is being deleted already; what remains is to wait.
    if (!isMeshError(error, "conflict")) throw error;
  }
  while ((await readNamespaceObject(transport, namespace, signal)) !== undefined) {
    if (clock.monotonicMs() >= deadline) {
      throw new MeshError(
        "deadline_exceeded",
        `Cannot wait for namespace "${namespace}" to go any longer: something in it does not end`,
        { hint: `\`kubectl describe namespace ${namespace}\` says what` },
      );
    }
    await clock.sleep(POLL_MS, signal);
  }
}

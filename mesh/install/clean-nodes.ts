// Ends the agents and cleans every node: a DaemonSet takes each node's interface, routes, pins and
// plugin away and tells so by being ready. A node that is down is waited for, named, or left.
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { AGENT_NAME } from "../kubernetes/object-names.ts";
import { applyObject, deleteObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { CLEANUP_NAME, cleanupDaemonSet } from "./agent-workload.ts";
import { readNodes } from "./facts.ts";
import { manifestPath } from "./manifest.ts";
import { listPods, readProgress } from "./rollout.ts";
import { describeProblem, nodeOfPod, podProblem, type PodObject } from "./rollout-state.ts";
import type { InstallSettings } from "./settings.ts";

export interface CleaningOptions {
  readonly namespace: string;
  /** Go on without nodes that do not answer. */
  readonly skipNodes: boolean;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly onStep: (line: string) => void;
}

const POLL_MS = 500;

/** An agent that still runs would make again what is being cleaned. */
export async function endAgents(
  transport: KubernetesTransport,
  options: CleaningOptions,
  signal: AbortSignal,
): Promise<void> {
  await removePods(transport, { ...options, name: AGENT_NAME }, signal);
}

export async function cleanNodes(
  transport: KubernetesTransport,
  options: CleaningOptions & { readonly settings: InstallSettings },
  signal: AbortSignal,
): Promise<{ readonly cleaned: readonly string[]; readonly skipped: readonly string[] }> {
  const { settings, onStep } = options;
  if ((await readNodes(transport, signal)).length === 0) return { cleaned: [], skipped: [] };
  const manifest = cleanupDaemonSet(settings);
  await applyObject(transport, { path: manifestPath(manifest), body: manifest }, signal);
  onStep("cleaning the nodes");
  const nodes = await waitForCleaning(transport, options, signal);
  await removePods(transport, { ...options, name: CLEANUP_NAME }, signal);
  return nodes;
}

async function waitForCleaning(
  transport: KubernetesTransport,
  options: CleaningOptions,
  signal: AbortSignal,
): Promise<{ cleaned: string[]; skipped: string[] }> {
  const { namespace, skipNodes, timeoutMs, clock, onStep } = options;
  const deadline = clock.monotonicMs() + timeoutMs;
  const workload = { kind: "DaemonSet", name: CLEANUP_NAME, namespace } as const;
  const cleaned = new Set<string>();
  for (;;) {
    const { wanted, isSeen } = await readProgress(transport, workload, signal);
    const pods = await listPods(transport, { namespace, name: CLEANUP_NAME }, signal);
    for (const node of pods.filter(isReady).map(nodeOfPod)) {
      if (!cleaned.has(node)) onStep(`node ${node} is clean`);
      cleaned.add(node);
    }
    const missing = pods.map(nodeOfPod).filter((node) => !cleaned.has(node));
    // The controller has looked, and every node that it means to reach has told.
    if (isSeen && cleaned.size >= wanted && missing.length === 0) {
      return { cleaned: [...cleaned], skipped: [] };
    }
    if (clock.monotonicMs() >= deadline) {
      if (skipNodes) return { cleaned: [...cleaned], skipped: missing };
      throw silentNodes(missing, { pods, timeoutMs });
    }
    await clock.sleep(POLL_MS, signal);
  }
}

function silentNodes(
  missing: readonly string[],
  { pods, timeoutMs }: { readonly pods: readonly PodObject[]; readonly timeoutMs: number },
): MeshError {
  const reasons = pods.flatMap((pod) => {
    const problem = podProblem(pod);
    return problem === undefined ? [] : [describeProblem(problem, [])];
  });
  const why = reasons.length === 0 ? "" : ` (${reasons.join("; ")})`;
  return new MeshError(
    "deadline_exceeded",
    `Cannot clean nodes ${missing.join(", ")}: they have not done it in ${Math.round(timeoutMs / 1000)} s${why}`,
    {
      hint: "repair or delete these nodes and run the command again; --skip-nodes goes on without them, and their interfaces and pins stay until they restart",
    },
  );
}

/** Deletes a DaemonSet and waits until its pods have gone from every node that answers. */
async function removePods(
  transport: KubernetesTransport,
  options: CleaningOptions & { readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, skipNodes, timeoutMs, clock, onStep } = options;
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`;
  if (await deleteObject(transport, { path }, signal)) onStep(`ending ${name}`);
  const deadline = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const pods = await listPods(transport, { namespace, name }, signal);
    if (pods.length === 0) return;
    const ready = new Set(
      (await readNodes(transport, signal)).filter((node) => node.ready).map((node) => node.name),
    );
    const answering = pods.filter((pod) => ready.has(nodeOfPod(pod)));
    if (answering.length === 0 && skipNodes) return;
    if (clock.monotonicMs() >= deadline) {
      const places = pods.map(nodeOfPod);
      throw new MeshError(
        "deadline_exceeded",
        `Cannot end ${name}: pods on ${places.join(", ")} have not ended in ${Math.round(timeoutMs / 1000)} s`,
        { hint: "--skip-nodes goes on without nodes that are down" },
      );
    }
    await clock.sleep(POLL_MS, signal);
  }
}

function isReady({ status, metadata }: PodObject): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return (status?.conditions ?? []).some(
    (condition) => condition.type === "Ready" && condition.status === "True",
  );
}

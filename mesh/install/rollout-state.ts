// How far a rollout is and what holds it up, in words. Pure: objects of the API in, sentences out.
import type { ApiObject } from "../kubernetes/watch-state.ts";

export interface WorkloadObject extends ApiObject {
  readonly kind?: string;
  readonly metadata: ApiObject["metadata"] & { readonly generation?: number };
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    // Deployment
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly replicas?: number;
    // DaemonSet
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberAvailable?: number;
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: object;
    readonly terminated?: TerminatedState;
  };
  readonly lastState?: { readonly terminated?: TerminatedState };
}

interface TerminatedState {
  readonly exitCode?: number;
  readonly reason?: string;
}

export interface PodObject extends ApiObject {
  readonly metadata: ApiObject["metadata"] & {
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: { readonly nodeName?: string; readonly affinity?: NodeAffinity };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** How a DaemonSet's pod says which node it is for, also before it is on it. */
interface NodeAffinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms?: readonly {
        readonly matchFields?: readonly { readonly values?: readonly string[] }[];
      }[];
    };
  };
}

export interface Progress {
  readonly name: string;
  /** Whether the controller has seen what was applied; before, its numbers are of the past. */
  readonly isSeen: boolean;
  readonly wanted: number;
  readonly ready: number;
  /** Whether every pod is of the newest version, and ready. */
  readonly complete: boolean;
}

export interface PodProblem {
  readonly pod: string;
  readonly node: string | undefined;
  readonly reason: string;
  /** The container whose last words may explain it. */
  readonly container: string | undefined;
}

export function progressOf({ metadata, spec, status }: WorkloadObject): Progress {
  const { name, generation = 0 } = metadata;
  const isSeen = (status?.observedGeneration ?? -1) >= generation;
  if (spec?.replicas === undefined) {
    const wanted = status?.desiredNumberScheduled ?? 0;
    const ready = status?.numberAvailable ?? 0;
    const updated = status?.updatedNumberScheduled ?? 0;
    const complete = isSeen && ready >= wanted && updated >= wanted;
    return { name, isSeen, wanted, ready, complete };
  }
  const wanted = spec.replicas;
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status ?? {};
  const isUpdated = updatedReplicas >= wanted && replicas <= updatedReplicas;
  return {
    name,
    isSeen,
    wanted,
    ready: availableReplicas,
    complete: isSeen && isUpdated && availableReplicas >= wanted,
  };
}

/** The node that a pod is on, or is meant for. */
export function nodeOfPod({ spec }: PodObject): string {
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const meant = required?.nodeSelectorTerms?.[0]?.matchFields?.[0]?.values?.[0];
  return spec?.nodeName ?? meant ?? "no node";
}

/** What is wrong with a pod that is not ready; undefined if nothing is. */
export function podProblem({ metadata, spec, status }: PodObject): PodProblem | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const place = { pod: metadata.name, node: spec?.nodeName };
  const conditions = status?.conditions ?? [];
  const isReady = conditions.some(
    ({ type, status: value }) => type === "Ready" && value === "True",
  );
  if (isReady) return undefined;
  const unscheduled = conditions.find(
    ({ type, status: value }) => type === "PodScheduled" && value === "False",
  );
  if (unscheduled !== undefined) {
    const reason = `no node takes it: ${unscheduled.message ?? "no reason is given"}`;
    return { ...place, reason, container: undefined };
  }
  if (status?.phase === "Failed") {
    const reason = `it failed: ${status.message ?? status.reason ?? "no reason is given"}`;
    return { ...place, reason, container: undefined };
  }
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const container of statuses) {
    const reason = containerProblem(container);
    if (reason !== undefined) return { ...place, reason, container: container.name };
  }
  if (spec?.nodeName === undefined) {
    return { ...place, reason: "no node has been chosen yet", container: undefined };
  }
  if (statuses.length === 0) {
    return { ...place, reason: "the kubelet has not started it yet", container: undefined };
  }
  const unready = (status?.containerStatuses ?? []).find(({ ready }) => ready !== true);
  if (unready === undefined) return undefined;
  return { ...place, reason: `container ${unready.name} is not ready`, container: unready.name };
}

export function describeProblem(problem: PodProblem, lastWords: readonly string[]): string {
  const { pod, node, reason } = problem;
  const where = node === undefined ? "" : ` on node ${node}`;
  const words = lastWords.map((line) => `\n    ${line}`).join("");
  return `pod ${pod}${where}: ${reason}${words}`;
}

/** Reasons with which every container starts. */
const STARTING = new Set(["ContainerCreating", "PodInitializing"]);

function containerProblem(container: ContainerStatus): string | undefined {
  const { name, state, lastState, restartCount = 0 } = container;
  const { waiting, terminated } = state ?? {};
  if (waiting?.reason !== undefined && !STARTING.has(waiting.reason)) {
    const ended = lastState?.terminated;
    const how = ended === undefined ? "" : `, it last ended with ${ending(ended)}`;
    const message = waiting.message === undefined ? "" : ` (${waiting.message})`;
    if (waiting.reason === "CrashLoopBackOff") {
      return `container ${name} ended ${restartCount} times${how}`;
    }
    return `container ${name} waits: ${waiting.reason}${message}`;
  }
  if (terminated !== undefined && terminated.exitCode !== 0) {
    return `container ${name} ended with ${ending(terminated)}`;
  }
  return undefined;
}

function ending({ exitCode, reason }: TerminatedState): string {
  const why = reason === undefined || reason === "Error" ? "" : ` (${reason})`;
  return `status ${exitCode ?? "unknown"}${why}`;
}

// Waits until what was applied runs, tells how far it is, and says what holds it up.
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { NAME_LABEL } from "../kubernetes/object-names.ts";
import { listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import {
  describeProblem,
  podProblem,
  progressOf,
  type PodObject,
  type PodProblem,
  type Progress,
  type WorkloadObject,
} from "./rollout-state.ts";

export interface WaitOptions {
  readonly namespace: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** One line, when it says something new. */
  readonly onProgress: (line: string) => void;
}

export interface Workload {
  readonly kind: "Deployment" | "DaemonSet";
  readonly name: string;
}

const POLL_MS = 1_000;
/** Of a container that ends again and again: enough to see the error and its hint. */
const LAST_WORDS_LINES = 3;
const LAST_WORDS_BYTES = 64 * 1024;
const PROBLEMS_SHOWN = 5;

/** Resolves when every pod runs in its newest version; rejects with `deadline_exceeded`. */
export async function waitForRollout(
  transport: KubernetesTransport,
  { workloads, ...options }: WaitOptions & { readonly workloads: readonly Workload[] },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, timeoutMs, clock, onProgress } = options;
  const say = onlyNews(onProgress);
  const deadline = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const progress: Progress[] = [];
    for (const workload of workloads) {
      progress.push(await readProgress(transport, { ...workload, namespace }, signal));
    }
    const missing = progress.filter(({ complete }) => !complete);
    say(progress.map(describeProgress).join(", "));
    if (missing.length === 0) return;
    const names = missing.map(({ name }) => name);
    const problems = await readProblems(transport, { namespace, names }, signal);
    for (const { pod, reason, node } of problems) {
      say(describeProblem({ pod, reason, node, container: undefined }, []));
    }
    if (clock.monotonicMs() >= deadline) {
      const said = await Promise.all(
        problems
          .slice(0, PROBLEMS_SHOWN)
          .map(async (problem) =>
            describeProblem(problem, await lastWords(transport, { namespace, problem }, signal)),
          ),
      );
      throw new MeshError(
        "deadline_exceeded",
        `Cannot wait for ${names.join(" and ")} any longer than ${Math.round(timeoutMs / 1000)} s: ${said.join("; ") || missing.map(describeProgress).join(", ")}`,
        { hint: "what was applied stays; running the same command again goes on from there" },
      );
    }
    await clock.sleep(POLL_MS, signal);
  }
}

export function describeProgress({ name, wanted, ready, complete }: Progress): string {
  return `${name} ${ready}/${wanted} ready${!complete && ready >= wanted ? ", not all up to date" : ""}`;
}

/** Pods of a workload, by the label that every one of ours has. */
export function listPods(
  transport: KubernetesTransport,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<PodObject[]> {
  const selector = encodeURIComponent(`${NAME_LABEL}=${name}`);
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`;
  return listObjects<PodObject>(transport, path, signal);
}

/** Says a line unless it was said before. */
export function onlyNews(say: (line: string) => void): (line: string) => void {
  const said = new Set<string>();
  return (line) => {
    if (said.has(line)) return;
    said.add(line);
    say(line);
  };
}

/** Throws `conflict` if there is no such workload any more. */
export async function readProgress(
  transport: KubernetesTransport,
  workload: Workload & { readonly namespace: string },
  signal: AbortSignal,
): Promise<Progress> {
  const { kind, name, namespace } = workload;
  const path = `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`;
  const object = await readObject<WorkloadObject>(transport, path, signal);
  if (object === undefined) {
    throw new MeshError("conflict", `Cannot wait for ${kind} ${name}: somebody has deleted it`);
  }
  return progressOf(object);
}

async function readProblems(
  transport: KubernetesTransport,
  { namespace, names }: { readonly namespace: string; readonly names: readonly string[] },
  signal: AbortSignal,
): Promise<PodProblem[]> {
  const problems: PodProblem[] = [];
  for (const name of names) {
    const pods = await listPods(transport, { namespace, name }, signal);
    problems.push(...pods.flatMap((pod) => podProblem(pod) ?? []));
  }
  return problems;
}

/** The end of a container's log; of the run before if it does not run now. */
async function lastWords(
  transport: KubernetesTransport,
  { namespace, problem }: { readonly namespace: string; readonly problem: PodProblem },
  signal: AbortSignal,
): Promise<string[]> {
  const { pod, container } = problem;
  if (container === undefined) return [];
  for (const previous of ["false", "true"]) {
    const query = new URLSearchParams({
      container,
      previous,
      tailLines: String(LAST_WORDS_LINES),
      limitBytes: String(LAST_WORDS_BYTES),
    });
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?${query.toString()}`;
    const lines = await readLines(transport, path, signal);
    if (lines.length > 0) return lines;
  }
  return [];
}

async function readLines(
  transport: KubernetesTransport,
  path: string,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    const response = await transport.send({ path }, signal);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    if (response.status !== 200) return [];
    const lines = Buffer.concat(chunks).toString("utf8").split("\n");
    return lines.filter((line) => line.trim() !== "");
  } catch (error) {
    if (isMeshError(error, "aborted") || signal.aborted) throw error;
    return []; // A log that cannot be read must not hide what is being explained by it.
  }
}

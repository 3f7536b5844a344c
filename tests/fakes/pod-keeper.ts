// Plays scheduler and kubelet towards a real API server, without running anything: pods get a node
// and become ready, or stay as a test wants them; pods that are deleted end.
import { systemClock } from "../../mesh/core/clock.ts";
import { nodeOfPod, type PodObject } from "../../mesh/install/rollout-state.ts";
import type { TestKubernetes } from "./kubernetes.ts";

export interface PodKeeper {
  /** The status of pods whose name begins so, instead of being ready. */
  setStatus(prefix: string, status: object | undefined): void;
  close(): Promise<void>;
}

const POLL_MS = 100;
const READY = {
  phase: "Running",
  // Long ago, so that it counts as available at once.
  conditions: [{ lastTransitionTime: "2020-01-01T00:00:00Z", status: "True", type: "Ready" }],
  containerStatuses: [],
};

export function startPodKeeper(
  kubernetes: TestKubernetes,
  { namespace, defaultNode }: { readonly namespace: string; readonly defaultNode: string },
): PodKeeper {
  const abort = new AbortController();
  const statuses = new Map<string, object>();
  /** Pod → the status that it was given. */
  const given = new Map<string, object>();
  const pods = `/api/v1/namespaces/${namespace}/pods`;

  async function keep(pod: PodObject): Promise<void> {
    const { name, deletionTimestamp } = pod.metadata;
    const path = `${pods}/${name}`;
    const allow = [404, 409];
    if (deletionTimestamp !== undefined) {
      await kubernetes.call({ method: "DELETE", path: `${path}?gracePeriodSeconds=0`, allow });
      return;
    }
    if (pod.spec?.nodeName === undefined) {
      const meant = nodeOfPod(pod);
      const target = { kind: "Node", name: meant === "no node" ? defaultNode : meant };
      const body = { metadata: { name }, target };
      await kubernetes.call({ method: "POST", path: `${path}/binding`, body, allow });
    }
    const wanted = [...statuses].find(([prefix]) => name.startsWith(prefix))?.[1] ?? READY;
    if (given.get(name) === wanted) return;
    const body = { status: wanted };
    await kubernetes.call({ method: "PATCH", path: `${path}/status`, body, allow });
    given.set(name, wanted);
  }

  async function run(): Promise<void> {
    while (!abort.signal.aborted) {
      const { items } = await kubernetes.call<{ items: PodObject[] }>({ path: pods });
      for (const pod of items) await keep(pod);
      // Ends with the test.
      await systemClock.sleep(POLL_MS, abort.signal).catch(() => undefined);
    }
  }

  const running = run();
  return {
    setStatus(prefix, status) {
      if (status === undefined) statuses.delete(prefix);
      else statuses.set(prefix, status);
    },
    async close() {
      abort.abort("the test has ended");
      await running;
    },
  };
}

// Brings the lab's Kubernetes clusters up, or back: namespaces, then etcd and the runtimes, then
// everything that needs them. What runs is left alone.
import { readFile } from "node:fs/promises";
import { runCommand } from "../../../mesh/core/child-process.ts";
import type { Clock } from "../../../mesh/core/clock.ts";
import { MeshError } from "../../../mesh/core/errors.ts";
import { isInNamespace, isInPinnedNamespace } from "../namespaces.ts";
import type { LabPlan } from "../plan.ts";
import { readAliveProcess, startProcess } from "../processes.ts";
import { clusterComponents, type Component } from "./components.ts";
import { tryKubectl } from "./kubectl.ts";
import { onNode } from "./node.ts";
import { CONTAINERD_SOCKET, planKubernetes } from "./plan.ts";
import type { KubernetesCluster, KubernetesNode } from "./plan.ts";

/** An idle machine of two cores needs some 20 s for each wait; a busy one many times that. */
const READY_LIMIT_MS = 240_000;
const POLL_MS = 300;
/** Of a dead process's last words; the log has them whole. */
const SAID_LENGTH = 300;

export interface StartOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Every process of every cluster of a Kubernetes lab. */
export function labComponents(lab: LabPlan, cgroupRoot: string): Component[] {
  const assets = lab.kubernetes?.assets ?? "";
  return planKubernetes(lab).flatMap((plan) =>
    clusterComponents(lab, { plan, assets, cgroupRoot }),
  );
}

export async function isAlive(component: Component): Promise<boolean> {
  const alive = await readAliveProcess(component.recordFile);
  if (alive === undefined || !(await isInNamespace(alive.pid, component.namespace))) return false;
  const { mountNamespace } = component;
  return (
    mountNamespace === undefined ||
    (await isInPinnedNamespace(alive.pid, { kind: "mnt", path: mountNamespace }))
  );
}

/** Starts those that do not run; returns how many. */
export async function startComponents(
  components: readonly Component[],
  options: StartOptions,
): Promise<number> {
  const started = await Promise.all(
    components.map(async (component) => {
      if (await isAlive(component)) return false;
      await startProcess(component, options);
      return true;
    }),
  );
  return started.filter(Boolean).length;
}

/** Resolves when the kube-apiserver serves everything, its own start-up work done. */
export async function awaitApi(
  plan: KubernetesCluster,
  { components, ...options }: StartOptions & { components: readonly Component[] },
): Promise<void> {
  const { signal } = options;
  await awaitProbe(`the Kubernetes API of "${plan.cluster.name}"`, {
    ...options,
    needs: components.filter(({ cluster, kind }) => {
      return cluster === plan.cluster.name && (kind === "etcd" || kind === "kube-apiserver");
    }),
    probe: async () => tryKubectl(plan, { args: ["get", "--raw", "/readyz"], signal }),
  });
}

/** Resolves when the node's containerd answers. */
export async function awaitRuntime(
  node: KubernetesNode,
  { components, ...options }: StartOptions & { components: readonly Component[] },
): Promise<void> {
  const argv = onNode(node, ["ctr", `--address=${CONTAINERD_SOCKET}`, "version"]);
  await awaitProbe(`containerd on "${node.node.name}"`, {
    ...options,
    needs: components.filter(
      ({ namespace, kind }) => namespace === node.node.namespace && kind === "containerd",
    ),
    probe: async () => runCommand({ argv }, options.signal),
  });
}

/** Resolves when every node is registered and alive, and pods can be made. */
export async function awaitNodes(
  plan: KubernetesCluster,
  { components, ...options }: StartOptions & { components: readonly Component[] },
): Promise<void> {
  const { signal } = options;
  const nodes = plan.nodes.map(({ node }) => node.name);
  // Whether pods' network is there is the network's business, and there is none at first.
  const ready = '.status.conditions[?(@.type=="Ready")]';
  const line = `{.metadata.name} {.spec.podCIDR} {${ready}.reason} {${ready}.lastHeartbeatTime}`;
  const template = `{range .items[*]}${line}{"\\n"}{end}`;
  // Kubernetes' times are whole seconds.
  const sinceMs = options.clock.nowMs() - 1_000;
  await awaitProbe(`the nodes of "${plan.cluster.name}"`, {
    ...options,
    needs: components.filter(({ cluster }) => cluster === plan.cluster.name),
    probe: async () => {
      const listed = await tryKubectl(plan, {
        args: ["get", "nodes", `--output=jsonpath=${template}`],
        signal,
      });
      const up = listed.stdout.split("\n").flatMap((text) => {
        const [name = "", prefix, reason, heartbeat = ""] = text.split(" ");
        const alive = reason?.startsWith("Kubelet") === true && Date.parse(heartbeat) >= sinceMs;
        return alive && prefix !== "" ? [name] : [];
      });
      const missing = nodes.filter((name) => !up.includes(name));
      if (missing.length > 0) return { ...listed, status: 1, stderr: `not up: ${missing.join()}` };
      const args = ["get", "serviceaccount", "default"];
      return tryKubectl(plan, { args, signal });
    },
  });
}

interface Probe extends StartOptions {
  /** Without these there is nothing to wait for. */
  readonly needs: readonly Component[];
  readonly probe: () => Promise<{ status: number; stdout: string; stderr: string }>;
}

async function awaitProbe(what: string, { needs, probe, clock, signal }: Probe): Promise<void> {
  const deadlineMs = clock.monotonicMs() + READY_LIMIT_MS;
  for (;;) {
    const { status, stdout, stderr } = await probe();
    if (status === 0) return;
    for (const component of needs) {
      if ((await readAliveProcess(component.recordFile)) === undefined)
        throw await ended(component);
    }
    if (clock.monotonicMs() > deadlineMs) {
      const said = (stderr.trim() || stdout.trim()).slice(-SAID_LENGTH);
      throw new MeshError("deadline_exceeded", `Cannot bring up ${what}: ${said}`, {
        hint: `the logs are ${needs.map(({ logFile }) => logFile).join(", ")}`,
      });
    }
    await clock.sleep(POLL_MS, signal);
  }
}

async function ended({ name, logFile }: Component): Promise<MeshError> {
  const last = (await readFile(logFile, "utf8")).trimEnd().split("\n").at(-1) ?? "";
  return new MeshError(
    "unavailable",
    `Cannot bring up "${name}": it has ended, saying ${last.slice(0, SAID_LENGTH)}`,
    { hint: `its log is ${logFile}` },
  );
}

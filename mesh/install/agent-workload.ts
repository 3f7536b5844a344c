// What runs on every node: the agent's DaemonSet, and the one that cleans the nodes when Tombolo
// is removed. Both see the node's directories; the agent sees its pods' network namespaces too.
import { basename, dirname, join } from "node:path/posix";
import {
  AGENT_CONTAINER,
  AGENT_NAME,
  CLUSTER_CONFIG_MAP,
  NAME_LABEL,
} from "../kubernetes/object-names.ts";
import {
  apiServerEnvironment,
  CONFIGURATION_DIRECTORY,
  HEALTH,
  HOME,
  HOST_PATHS,
} from "./configuration.ts";
import type { Manifest } from "./manifest.ts";
import type { InstallSettings } from "./settings.ts";
import { healthProbes } from "./probes.ts";

export const CLEANUP_NAME = "tombolo-cleanup";
const CLEANUP_CONTAINER = "cleanup";
/** `remove-node --wait` makes it when nothing of ours is left on the node. */
const CLEANUP_DONE_FILE = "/tmp/removed";
const PROGRAM = "/usr/local/bin/tombolo-agent";
const CONFIG = `${CONFIGURATION_DIRECTORY}/agent.json`;
/** Ending an agent changes no forwarding, so there is little to wait for. */
const GRACE_SECONDS = 10;
const MINIMUM_READY_SECONDS = 3;
const MOUNTED = Object.entries(HOST_PATHS);
const ALL_PATHS = MOUNTED.map(([key]) => key);
const CNI_PATHS = ["cniConfiguration", "cniBinaries", "tombolo"];
/** Where the node mounts something later (its bpffs, cgroup trees, namespaces of pods). */
const FILLED_LATER = ["bpf", "cgroup", "networkNamespaces"];
/** What removing Tombolo from a node has to see. */
const CLEANED_PATHS = ALL_PATHS.filter((key) => key !== "networkNamespaces");
/** For looking only. */
const READ_ONLY = ["networkNamespaces"];
/**
 * Directories of ours on the node, with where the container that cleans up sees what they lie in:
 * none can be removed by a path that it is mounted at.
 */
const OWN_DIRECTORIES = [HOST_PATHS.run.host, HOST_PATHS.tombolo.host].map((path) => {
  const parent = dirname(path);
  const container = `/host/parents${parent}`;
  return {
    volume: `parent${parent.replaceAll("/", "-")}`,
    parent,
    container,
    path: join(container, basename(path)),
  };
});

/**
 * BPF: maps and programs. PERFMON: the verifier otherwise refuses to spill the scalars that our
 * programs compute with. NET_ADMIN: devices, routes, tc filters, cgroup programs, net sysctls.
 */
const CAPABILITIES = ["BPF", "NET_ADMIN", "PERFMON"];
/**
 * NET_RAW: the echo requests by which other nodes are probed. SYS_ADMIN: entering a pod's network
 * namespace, once, to open the socket by which flows in there can be ended. An agent without them
 * does all else, and says in its status what it cannot do.
 */
const AGENT_CAPABILITIES = [...CAPABILITIES, "NET_RAW", "SYS_ADMIN"].sort();
/** The profile that runtimes give containers forbids to write below /sys/fs/bpf. */
const APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io";
/** On SELinux nodes: the type whose processes may use the node's directories; others ignore it. */
const SELINUX = { type: "spc_t", level: "s0" };

export function agentDaemonSet(settings: InstallSettings): Manifest {
  const { maxUnavailable } = settings;
  return daemonSet(settings, {
    name: AGENT_NAME,
    unconfined: AGENT_CONTAINER,
    paths: ALL_PATHS,
    strategy: {
      type: "RollingUpdate",
      rollingUpdate: {
        maxUnavailable: maxUnavailable.endsWith("%") ? maxUnavailable : Number(maxUnavailable),
      },
    },
    pod: {
      serviceAccountName: AGENT_NAME,
      automountServiceAccountToken: true,
      initContainers: [pluginContainer(settings)],
      containers: [agentContainer(settings)],
    },
  });
}

/** Takes everything of ours off each node, tells so by being ready, and waits to be removed. */
export function cleanupDaemonSet(settings: InstallSettings): Manifest {
  return daemonSet(settings, {
    name: CLEANUP_NAME,
    unconfined: CLEANUP_CONTAINER,
    paths: CLEANED_PATHS,
    strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "100%" } },
    volumes: OWN_DIRECTORIES.map(({ volume, parent }) => ({
      name: volume,
      hostPath: { path: parent, type: "DirectoryOrCreate" },
    })),
    pod: {
      // It asks no API, and the agent's account is removed while it runs.
      automountServiceAccountToken: false,
      containers: [cleanupContainer(settings)],
    },
  });
}

function daemonSet(
  { namespace }: InstallSettings,
  set: {
    readonly name: string;
    /** The container that pins in the node's bpffs. */
    readonly unconfined: string;
    readonly strategy: object;
    /** Of the node; keys of HOST_PATHS. */
    readonly paths: readonly string[];
    /** Beside those that every one of ours has. */
    readonly volumes?: readonly object[];
    readonly pod: object;
  },
): Manifest {
  const labels = { [NAME_LABEL]: set.name };
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: set.name, namespace },
    spec: {
      minReadySeconds: MINIMUM_READY_SECONDS,
      revisionHistoryLimit: 3,
      updateStrategy: set.strategy,
      selector: { matchLabels: labels },
      template: {
        metadata: {
          labels,
          annotations: { [`${APPARMOR_ANNOTATION}/${set.unconfined}`]: "unconfined" },
        },
        spec: {
          ...set.pod,
          hostNetwork: true,
          dnsPolicy: "ClusterFirstWithHostNet",
          priorityClassName: "system-node-critical",
          terminationGracePeriodSeconds: GRACE_SECONDS,
          nodeSelector: { "kubernetes.io/os": "linux" },
          // Every node that can run a pod has to be reached, whatever is wrong with it.
          tolerations: [{ operator: "Exists" }],
          securityContext: {
            seccompProfile: { type: "RuntimeDefault" },
            seLinuxOptions: SELINUX,
          },
          volumes: [
            { name: "configuration", configMap: { name: CLUSTER_CONFIG_MAP } },
            { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
            ...MOUNTED.filter(([key]) => set.paths.includes(key)).map(([key, { host }]) => ({
              name: volumeName(key),
              hostPath: { path: host, type: volumeType(key) },
            })),
            ...(set.volumes ?? []),
          ],
        },
      },
    },
  };
}

function agentContainer({ image, apiServer }: InstallSettings): object {
  return {
    name: AGENT_CONTAINER,
    image,
    imagePullPolicy: "IfNotPresent",
    command: [PROGRAM],
    args: ["--config", CONFIG],
    env: environment(apiServerEnvironment(apiServer)),
    // Before the apiserver is there an agent is alive and not ready.
    ...healthProbes(HEALTH.agent, { startupSeconds: 120 }),
    resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "1Gi" } },
    securityContext: rootWith(AGENT_CAPABILITIES),
    volumeMounts: mounts(ALL_PATHS),
  };
}

/** Copies files as root of the node and needs no capability for it. */
function pluginContainer({ image }: InstallSettings): object {
  return {
    name: "install-plugin",
    image,
    imagePullPolicy: "IfNotPresent",
    command: [PROGRAM],
    args: ["install-plugin", "--config", CONFIG],
    env: environment([]),
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "512Mi" } },
    securityContext: rootWith([]),
    volumeMounts: mounts(CNI_PATHS),
  };
}

function cleanupContainer({ image }: InstallSettings): object {
  return {
    name: CLEANUP_CONTAINER,
    image,
    imagePullPolicy: "IfNotPresent",
    command: [PROGRAM],
    args: [
      "remove-node",
      "--wait",
      "--config",
      CONFIG,
      ...OWN_DIRECTORIES.flatMap(({ path }) => ["--directory", path]),
    ],
    env: environment([]),
    readinessProbe: { exec: { command: ["test", "-e", CLEANUP_DONE_FILE] }, periodSeconds: 1 },
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "512Mi" } },
    securityContext: rootWith(CAPABILITIES),
    volumeMounts: [
      ...mounts(CLEANED_PATHS),
      ...OWN_DIRECTORIES.map(({ volume, container }) => ({ name: volume, mountPath: container })),
    ],
  };
}

function environment(more: readonly object[]): object[] {
  const nodeName = { fieldRef: { apiVersion: "v1", fieldPath: "spec.nodeName" } };
  return [
    { name: "NODE_NAME", valueFrom: nodeName },
    { name: "TOMBOLO_HOME", value: HOME },
    ...more,
  ];
}

/** Root, because pins and the node's directories belong to it; nothing that root usually may. */
function rootWith(capabilities: readonly string[]): object {
  return {
    runAsUser: 0,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: {
      drop: ["ALL"],
      ...(capabilities.length === 0 ? {} : { add: capabilities }),
    },
  };
}

function mounts(keys: readonly string[]): object[] {
  return [
    { name: "configuration", mountPath: CONFIGURATION_DIRECTORY, readOnly: true },
    { name: "tmp", mountPath: "/tmp" },
    ...MOUNTED.filter(([key]) => keys.includes(key)).map(([key, { container }]) => ({
      name: volumeName(key),
      mountPath: container,
      ...(READ_ONLY.includes(key) ? { readOnly: true } : {}),
      // What the node mounts there later has to appear here too.
      ...(FILLED_LATER.includes(key) ? { mountPropagation: "HostToContainer" } : {}),
    })),
  ];
}

/** "procSysNet" as Kubernetes writes names. */
function volumeName(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The kernel's own directories are there or nothing helps; the others are made. */
function volumeType(key: string): string {
  return ["bpf", "cgroup", "procSysNet"].includes(key) ? "Directory" : "DirectoryOrCreate";
}

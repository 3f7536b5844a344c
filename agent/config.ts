// The agent's configuration file: read once at start, checked here, in words that say which field
// is wrong and what would be right.
import { readFile } from "node:fs/promises";
import {
  parseClusterId,
  parseClusterName,
  parseMaxConnectedClusters,
  type ClusterIdentity,
} from "../mesh/core/cluster.ts";
import { MeshError } from "../mesh/core/errors.ts";
import { Fields } from "./config-fields.ts";

export interface AgentConfig {
  readonly cluster: ClusterIdentity;
  readonly nodeName: string;
  /** Our own cluster's etcd; no other is ever read. */
  readonly etcd: EtcdPlace;
  /** Directory in a bpffs under which maps, programs and links of this node are pinned. */
  readonly bpfRoot: string;
  readonly cgroup: CgroupPlace;
  readonly stateDirectory: string;
  /** Unix socket of the status API. */
  readonly socket: string;
  readonly overlay: {
    readonly device: string;
    readonly port: number;
    readonly underlayMtu: number;
  };
  /** Where the kernel's settings of this network namespace can be written. */
  readonly procSysNet: string;
  /** Pods speak to what is outside the mesh with the node's address. */
  readonly masquerade: boolean;
  /** How the health of other clusters is found out (docs/health.md). */
  readonly health: HealthSettings;
  readonly policy: PolicySettings;
  /** How container runtimes find the plugin; undefined if that is somebody else's business. */
  readonly cni: CniSettings | undefined;
  /** `ADDRESS:PORT` for /healthz and /readyz. */
  readonly healthListen: string | undefined;
  /** `ADDRESS:PORT` for /metrics. */
  readonly metricsListen: string | undefined;
  /** Our own cluster's NATS; undefined if it has none. */
  readonly operations: OperationsPlace | undefined;
}

export type OperationsPlace =
  | { readonly kind: "fixed"; readonly servers: readonly string[] }
  /** At the addresses of etcd, which the agent finds anyway. */
  | { readonly kind: "beside-etcd"; readonly port: number };

export type EtcdPlace =
  | { readonly kind: "fixed"; readonly endpoints: readonly string[]; readonly tls: EtcdFiles }
  /** Found through a Kubernetes API, see agent/kubernetes. */
  | {
      readonly kind: "kubernetes";
      readonly kubeconfig: string;
      readonly context: string | undefined;
      readonly namespace: string;
    };

export interface EtcdFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** The cgroup whose sockets are balanced, or where the node's cgroup file systems are mounted. */
export type CgroupPlace =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "root"; readonly path: string };

export interface HealthSettings {
  /** Without it nothing is probed, and every cluster counts as healthy. */
  readonly enabled: boolean;
  readonly intervalMs: number;
  readonly nodesPerCluster: number;
  /** What went down stays down for two seconds, doubling with each relapse up to this. */
  readonly holdDownMaxMs: number;
}

export interface PolicySettings {
  /** `never`: no pod has a policy, whatever the cluster says. */
  readonly enforcement: "default" | "never";
}

export interface CniSettings {
  /** Where runtimes look for configurations and for programs. */
  readonly configDirectory: string;
  readonly binaryDirectory: string;
  /** Where the plugin's own files stand: as we see the directory, and as the node does. */
  readonly hostRoot: string;
  readonly hostRootOnHost: string;
  /** `network`: ours gives pods their interface. `chained`: another's does. `none`: no pods. */
  readonly mode: "network" | "chained" | "none";
  /** In mode `chained`: the file name of the other's configuration. */
  readonly chainAfter: string | undefined;
}

const DEFAULT_OVERLAY = {
  device: "tombolo_vxlan",
  /** The port by which Linux and Cilium know VXLAN; IANA's 4789 is the other one. */
  port: 8472,
  underlayMtu: 1_500,
};
/** Five unanswered rounds of three nodes are half a second: a failover within one. */
export const DEFAULT_HEALTH: HealthSettings = {
  enabled: true,
  intervalMs: 100,
  nodesPerCluster: 3,
  holdDownMaxMs: 60_000,
};
const DEFAULT_PROC_SYS_NET = "/proc/sys/net";
/** IANA's for NATS. */
const NATS_PORT = 4_222;
/** IFNAMSIZ without its final zero. */
const DEVICE_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/;
const NODE_NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;
const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const FILE_NAME = /^[^/]+\.(conf|conflist|json)$/;
/** IPv6's minimum plus the largest outer headers. */
const UNDERLAY_MTU_MIN = 1_350;
const UNDERLAY_MTU_MAX = 65_535;

/** What the environment tells: Kubernetes gives a pod the name of its node there only. */
export interface ConfigEnvironment {
  readonly nodeName?: string | undefined;
}

export async function readAgentConfig(
  path: string,
  environment: ConfigEnvironment = {},
): Promise<AgentConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read agent configuration "${path}"`, { cause });
  }
  return parseAgentConfig(text, path, environment);
}

/** `path` only appears in messages. */
export function parseAgentConfig(
  text: string,
  path: string,
  environment: ConfigEnvironment = {},
): AgentConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot parse agent configuration "${path}" as JSON`, {
      cause,
    });
  }
  const fields = new Fields(value, { path, prefix: "" });
  const maxConnectedClusters = parseMaxConnectedClusters(fields.get("maxConnectedClusters") ?? 255);
  const overlay = fields.object("overlay", {});
  const etcd = parseEtcdPlace(fields);
  const cni = parseCniSettings(fields);
  return {
    cluster: {
      name: parseClusterName(fields.get("clusterName")),
      id: parseClusterId(fields.get("clusterId"), maxConnectedClusters),
      maxConnectedClusters,
    },
    nodeName: fields.text("nodeName", {
      pattern: NODE_NAME,
      want: "the node's name in Kubernetes",
      ...(environment.nodeName === undefined ? {} : { missing: environment.nodeName }),
    }),
    etcd,
    bpfRoot: fields.path("bpfRoot"),
    cgroup:
      fields.get("cgroupRoot") === undefined
        ? { kind: "path", path: fields.path("cgroupPath") }
        : { kind: "root", path: fields.path("cgroupRoot") },
    stateDirectory: fields.path("stateDirectory"),
    socket: fields.path("socket"),
    overlay: {
      device: overlay.text("device", {
        pattern: DEVICE_NAME,
        want: "a device name of at most 15 characters",
        missing: DEFAULT_OVERLAY.device,
      }),
      port: overlay.integer("port", { min: 1, max: 65_535, missing: DEFAULT_OVERLAY.port }),
      underlayMtu: overlay.integer("underlayMtu", {
        min: UNDERLAY_MTU_MIN,
        max: UNDERLAY_MTU_MAX,
        missing: DEFAULT_OVERLAY.underlayMtu,
      }),
    },
    procSysNet: fields.path("procSysNet", DEFAULT_PROC_SYS_NET),
    // Under Kubernetes pods expect it; where another plugin gives addresses, it is that plugin's.
    masquerade: fields.flag("masquerade", {
      missing: etcd.kind === "kubernetes" && cni?.mode === "network",
    }),
    health: parseHealthSettings(fields),
    policy: parsePolicySettings(fields),
    cni,
    healthListen: fields.listen("healthListen"),
    metricsListen: fields.listen("metricsListen"),
    operations: parseOperationsPlace(fields),
  };
}

function parseOperationsPlace(fields: Fields): OperationsPlace | undefined {
  if (fields.get("operations") === undefined) return undefined;
  const operations = fields.object("operations");
  if (operations.get("servers") !== undefined) {
    return { kind: "fixed", servers: operations.places("servers") };
  }
  const port = operations.integer("port", { min: 1, max: 65_535, missing: NATS_PORT });
  return { kind: "beside-etcd", port };
}

function parseEtcdPlace(fields: Fields): EtcdPlace {
  if (fields.get("kubernetes") === undefined) {
    const endpoints = fields.endpoints("etcdEndpoints");
    const tls = fields.object("tls");
    return {
      kind: "fixed",
      endpoints,
      tls: {
        caFile: tls.path("caFile"),
        certFile: tls.path("certFile"),
        keyFile: tls.path("keyFile"),
      },
    };
  }
  const kubernetes = fields.object("kubernetes");
  const any = { pattern: /./, want: 'the path of a kubeconfig file, or "in-cluster"' };
  return {
    kind: "kubernetes",
    kubeconfig: kubernetes.text("kubeconfig", any),
    context:
      kubernetes.get("context") === undefined
        ? undefined
        : kubernetes.text("context", { pattern: /./, want: "a context of the kubeconfig file" }),
    namespace: kubernetes.text("namespace", {
      pattern: NAMESPACE_NAME,
      want: "the namespace that Tombolo is installed in",
    }),
  };
}

function parseHealthSettings(fields: Fields): HealthSettings {
  const health = fields.object("health", {});
  const { enabled, intervalMs, nodesPerCluster, holdDownMaxMs } = DEFAULT_HEALTH;
  return {
    enabled: health.flag("enabled", { missing: enabled }),
    intervalMs: health.integer("intervalMs", { min: 20, max: 10_000, missing: intervalMs }),
    nodesPerCluster: health.integer("nodesPerCluster", {
      min: 1,
      max: 16,
      missing: nodesPerCluster,
    }),
    holdDownMaxMs: health.integer("holdDownMaxMs", {
      min: 2_000,
      max: 3_600_000,
      missing: holdDownMaxMs,
    }),
  };
}

function parsePolicySettings(fields: Fields): PolicySettings {
  const enforcement = fields.object("policy", {}).text("enforcement", {
    pattern: /^(default|never)$/,
    want: '"default" or "never"',
    missing: "default",
  });
  return { enforcement: enforcement === "never" ? "never" : "default" };
}

function parseCniSettings(fields: Fields): CniSettings | undefined {
  if (fields.get("cni") === undefined) return undefined;
  const cni = fields.object("cni");
  const hostRoot = cni.path("hostRoot");
  return {
    configDirectory: cni.path("configDirectory"),
    binaryDirectory: cni.path("binaryDirectory"),
    hostRoot,
    hostRootOnHost: cni.path("hostRootOnHost", hostRoot),
    mode: cni.choice("mode", { of: ["network", "chained", "none"], missing: "network" }),
    chainAfter:
      cni.get("chainAfter") === undefined
        ? undefined
        : cni.text("chainAfter", {
            pattern: FILE_NAME,
            want: "the name of a file in cni.configDirectory",
          }),
  };
}

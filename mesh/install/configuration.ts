// The files that the programs read from ConfigMaps, and where they look in their containers.
import { ETCD_PORT, JOIN_PORT, LEAF_PORT, NATS_PORT } from "../kubernetes/object-names.ts";
import { splitHostPort, type InstallSettings } from "./settings.ts";

/** Where ConfigMap `tombolo-cluster` is mounted. */
export const CONFIGURATION_DIRECTORY = "/etc/tombolo";
/** What the apiserver writes for nats-server and nats-server keeps: all that the two share. */
export const NATS_DIRECTORY = "/var/run/tombolo-nats";
/** Loopback of the node: for probes and for who is on the machine. */
export const HEALTH = {
  address: "127.0.0.1",
  apiserver: 9_880,
  agent: 9_879,
  nats: 8_222,
} as const;
/** Everything that the programs keep while they run. */
export const RUN_DIRECTORY = "/var/run/tombolo";
export const HOME = `${RUN_DIRECTORY}/home`;
export const BPF_DIRECTORY = "/sys/fs/bpf";

/** Path on the node → path in the agent's container. */
export const HOST_PATHS = {
  bpf: { host: BPF_DIRECTORY, container: BPF_DIRECTORY },
  cgroup: { host: "/sys/fs/cgroup", container: "/host/cgroup" },
  // /proc/sys is read-only in a container without privileges; this mount of it is not.
  procSysNet: { host: "/proc/sys/net", container: "/host/proc/sys/net" },
  run: { host: RUN_DIRECTORY, container: RUN_DIRECTORY },
  cniConfiguration: { host: "/etc/cni/net.d", container: "/host/etc/cni/net.d" },
  cniBinaries: { host: "/opt/cni/bin", container: "/host/opt/cni/bin" },
  tombolo: { host: "/opt/tombolo", container: "/host/opt/tombolo" },
  // Runtimes name pods' network namespaces by paths in there, which have to mean the same here.
  networkNamespaces: { host: "/var/run/netns", container: "/var/run/netns" },
} as const;

export function clusterFile({ cluster, endpoints, joinEndpoint }: InstallSettings): string {
  const { name, id, maxConnectedClusters } = cluster;
  const etcdEndpoints = endpoints.length === 0 ? undefined : endpoints;
  return json({ name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint });
}

export function apiserverFile(settings: InstallSettings): string {
  const { namespace, acceptDrillsFrom, policyDefaultScope } = settings;
  return json({
    directory: `${RUN_DIRECTORY}/cluster`,
    etcd: { mode: "embedded", listen: `https://0.0.0.0:${ETCD_PORT}` },
    source: { kind: "kubernetes", kubeconfig: "in-cluster" },
    objects: { kubeconfig: "in-cluster", namespace },
    healthListen: `${HEALTH.address}:${HEALTH.apiserver}`,
    joinListen: `0.0.0.0:${JOIN_PORT}`,
    operations: {
      mode: "beside",
      directory: NATS_DIRECTORY,
      listen: `0.0.0.0:${NATS_PORT}`,
      leafListen: `0.0.0.0:${LEAF_PORT}`,
      monitorListen: `${HEALTH.address}:${HEALTH.nats}`,
      acceptDrillsFrom,
    },
    policyDefaultScope,
  });
}

export function agentFile(settings: InstallSettings): string {
  const { cluster, namespace, cni, chainAfter, underlayMtu } = settings;
  return json({
    clusterName: cluster.name,
    clusterId: cluster.id,
    maxConnectedClusters: cluster.maxConnectedClusters,
    kubernetes: { kubeconfig: "in-cluster", namespace },
    bpfRoot: `${BPF_DIRECTORY}/tombolo`,
    cgroupRoot: HOST_PATHS.cgroup.container,
    procSysNet: HOST_PATHS.procSysNet.container,
    stateDirectory: `${RUN_DIRECTORY}/state`,
    socket: `${RUN_DIRECTORY}/agent.sock`,
    overlay: { underlayMtu },
    healthListen: `${HEALTH.address}:${HEALTH.agent}`,
    operations: { port: NATS_PORT },
    cni: {
      configDirectory: HOST_PATHS.cniConfiguration.container,
      binaryDirectory: HOST_PATHS.cniBinaries.container,
      hostRoot: HOST_PATHS.tombolo.container,
      hostRootOnHost: HOST_PATHS.tombolo.host,
      mode: cni,
      chainAfter,
    },
  });
}

/**
 * Where client libraries look for the API server before anything else. Kubernetes itself sets
 * them to the Service `kubernetes`, which somebody has to translate: kube-proxy, or our agents.
 */
export function apiServerEnvironment(
  apiServer: string | undefined,
): readonly { readonly name: string; readonly value: string }[] {
  if (apiServer === undefined) return [];
  const { host, port } = splitHostPort(apiServer);
  return [
    { name: "KUBERNETES_SERVICE_HOST", value: host },
    { name: "KUBERNETES_SERVICE_PORT", value: port },
  ];
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

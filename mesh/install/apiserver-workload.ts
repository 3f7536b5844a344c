// The apiserver's Deployment: the apiserver with etcd as its child, nats-server beside it, on the
// host's network.
import {
  APISERVER_CONTAINER,
  APISERVER_NAME,
  CLUSTER_CONFIG_MAP,
  ETCD_PORT,
  JOIN_PORT,
  LEAF_PORT,
  NAME_LABEL,
  NATS_PORT,
} from "../kubernetes/object-names.ts";
import {
  apiServerEnvironment,
  CONFIGURATION_DIRECTORY,
  HEALTH,
  HOME,
  NATS_DIRECTORY,
  RUN_DIRECTORY,
} from "./configuration.ts";
import type { Manifest } from "./manifest.ts";
import type { InstallSettings } from "./settings.ts";
import { healthProbes } from "./probes.ts";

/** The user that "nonroot" images know; nothing on the node belongs to it. */
const USER = 65_532;
/** etcd writes its last snapshot, watchers are told; then Kubernetes may insist. */
const GRACE_SECONDS = 30;
/** A node that is silent is given up after this, not after Kubernetes' five minutes. */
const SILENT_SECONDS = 15;
/** One that speaks and is not ready may be waiting for the network of pods, and so for us. */
const NOT_READY_SECONDS = 300;

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

export function apiserverDeployment(settings: InstallSettings): Manifest {
  const labels = { [NAME_LABEL]: APISERVER_NAME };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: APISERVER_NAME, namespace: settings.namespace },
    spec: {
      replicas: 1,
      // Two would write one cluster's state, and the ports are the node's.
      strategy: { type: "Recreate" },
      revisionHistoryLimit: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec(settings) },
    },
  };
}

function podSpec(settings: InstallSettings): object {
  return {
    serviceAccountName: APISERVER_NAME,
    automountServiceAccountToken: true,
    hostNetwork: true,
    dnsPolicy: "ClusterFirstWithHostNet",
    priorityClassName: "system-cluster-critical",
    terminationGracePeriodSeconds: GRACE_SECONDS,
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: tolerations(),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [apiserverContainer(settings), natsContainer(settings)],
    volumes: [
      { name: "configuration", configMap: { name: CLUSTER_CONFIG_MAP } },
      { name: "run", emptyDir: {} },
      { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      { name: "nats", emptyDir: { sizeLimit: "512Mi" } },
    ],
  };
}

/**
 * The network of pods waits for the apiserver, and a node is "not ready" as long as it has none:
 * it must start before. It leaves a lost node fast, since all it has can be made again.
 */
function tolerations(): object[] {
  const tainted = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/not-ready",
    "node.cloudprovider.kubernetes.io/uninitialized",
  ];
  const lost = [
    { key: "node.kubernetes.io/not-ready", tolerationSeconds: NOT_READY_SECONDS },
    { key: "node.kubernetes.io/unreachable", tolerationSeconds: SILENT_SECONDS },
  ];
  return [
    ...tainted.map((key) => ({ key, operator: "Exists", effect: "NoSchedule" })),
    ...lost.map(({ key, tolerationSeconds }) => ({
      key,
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds,
    })),
  ];
}

function apiserverContainer({ image, apiServer }: InstallSettings): object {
  return {
    name: APISERVER_CONTAINER,
    image,
    imagePullPolicy: "IfNotPresent",
    command: ["/usr/local/bin/tombolo-apiserver"],
    args: ["--config", `${CONFIGURATION_DIRECTORY}/apiserver.json`],
    env: [{ name: "TOMBOLO_HOME", value: HOME }, ...apiServerEnvironment(apiServer)],
    ports: [
      { name: "etcd", containerPort: ETCD_PORT, hostPort: ETCD_PORT, protocol: "TCP" },
      { name: "join", containerPort: JOIN_PORT, hostPort: JOIN_PORT, protocol: "TCP" },
    ],
    // A start reads the whole cluster and gives etcd its users: minutes are allowed, not spent.
    ...healthProbes(HEALTH.apiserver, { startupSeconds: 300 }),
    resources: {
      requests: { cpu: "100m", memory: "256Mi" },
      // etcd maps its data: a limit that a large mesh reaches would end it again and again.
      limits: { memory: "4Gi" },
    },
    securityContext: RESTRICTED,
    volumeMounts: [
      { name: "configuration", mountPath: CONFIGURATION_DIRECTORY, readOnly: true },
      { name: "run", mountPath: RUN_DIRECTORY },
      { name: "nats", mountPath: NATS_DIRECTORY },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

function natsContainer({ image }: InstallSettings): object {
  const probe = { httpGet: { host: HEALTH.address, port: HEALTH.nats, path: "/", scheme: "HTTP" } };
  return {
    name: "nats",
    image,
    imagePullPolicy: "IfNotPresent",
    command: ["/usr/local/bin/tombolo-nats"],
    args: ["--directory", NATS_DIRECTORY],
    ports: [
      { name: "nats", containerPort: NATS_PORT, hostPort: NATS_PORT, protocol: "TCP" },
      { name: "leaf", containerPort: LEAF_PORT, hostPort: LEAF_PORT, protocol: "TCP" },
    ],
    // Its configuration is made once the cluster's objects are read, as the apiserver's start is.
    startupProbe: { ...probe, periodSeconds: 2, failureThreshold: 150 },
    livenessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "256Mi" } },
    securityContext: RESTRICTED,
    volumeMounts: [{ name: "nats", mountPath: NATS_DIRECTORY }],
  };
}

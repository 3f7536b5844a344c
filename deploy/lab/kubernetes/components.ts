// The processes of a Kubernetes cluster of the lab, and the configuration files of those that read
// one. Pure. Settings that differ from Kubernetes' defaults have their reason beside them.
import { join } from "node:path";
import { pkiPaths } from "../../../pki/files.ts";
import { linkAddress, type LabMember, type LabPlan } from "../plan.ts";
import type { ProcessSpec } from "../processes.ts";
import {
  API_PORT,
  CONTAINERD_SOCKET,
  ETCD_PEER_PORT,
  ETCD_PORT,
  type KubernetesCluster,
  type KubernetesNode,
} from "./plan.ts";

/** Alpha in 1.20, always on since 1.23, and unknown by its name since 1.25. */
const DUAL_STACK_GATE = "--feature-gates=IPv6DualStack=true";
/** How often a kubelet says that it lives; Kubernetes' default is 10 s. */
const HEARTBEAT_SECONDS = 2;
/** A node that is silent this long is not ready; five beats may be lost on a busy machine. */
const GRACE_SECONDS = 12;
/** Its pods are replaced this long after; Kubernetes' default of 300 s is for real networks. */
const EVICTION_SECONDS = 5;

export interface Component extends ProcessSpec {
  readonly kind:
    | "etcd"
    | "kube-apiserver"
    | "kube-controller-manager"
    | "kube-scheduler"
    | "containerd"
    | "kubelet";
  readonly cluster: string;
  /** "control", "node1" … */
  readonly member: string;
}

export interface ComponentOptions {
  readonly assets: string;
  readonly cgroupRoot: string;
}

/** Every process of the cluster, in the order in which they start on each other's account. */
export function clusterComponents(
  lab: LabPlan,
  { plan, ...options }: ComponentOptions & { plan: KubernetesCluster },
): Component[] {
  const { control } = plan.cluster;
  const component = componentOf(lab, { plan, cgroupRoot: options.cgroupRoot });
  const program = (name: string): string => join(options.assets, name);
  return [
    component(control, { kind: "etcd", argv: ["etcd", ...etcdFlags(plan)] }),
    ...plan.nodes.map(({ node, containerdConfig, mountNamespace }) =>
      component(node, {
        kind: "containerd",
        argv: ["containerd", "--config", containerdConfig],
        mountNamespace,
        // Pods' shims, which the next containerd finds by its state.
        leavesProcesses: true,
      }),
    ),
    component(control, {
      kind: "kube-apiserver",
      argv: [program("kube-apiserver"), ...apiserverFlags(plan)],
    }),
    component(control, {
      kind: "kube-controller-manager",
      argv: [program("kube-controller-manager"), ...controllerManagerFlags(plan)],
    }),
    component(control, {
      kind: "kube-scheduler",
      argv: [
        program("kube-scheduler"),
        `--kubeconfig=${plan.schedulerKubeconfig}`,
        "--leader-elect=false",
        "--port=0",
        "--secure-port=0",
      ],
    }),
    ...plan.nodes.map((node) =>
      component(node.node, {
        kind: "kubelet",
        argv: [program("kubelet"), ...kubeletFlags(node)],
        mountNamespace: node.mountNamespace,
      }),
    ),
  ];
}

function componentOf(
  lab: LabPlan,
  { plan, cgroupRoot }: { plan: KubernetesCluster; cgroupRoot: string },
) {
  return (
    member: LabMember,
    own: Pick<Component, "kind" | "argv" | "mountNamespace" | "leavesProcesses">,
  ): Component => {
    const name = `${member.name}.${own.kind}`;
    return {
      ...own,
      name,
      cluster: plan.cluster.name,
      member: member.member,
      namespace: member.namespace,
      cgroup: join(cgroupRoot, lab.cgroup, member.cgroup, own.kind),
      logFile: join(lab.paths.logs, `${name}.log`),
      recordFile: join(lab.paths.run, `${name}.json`),
    };
  };
}

function etcdFlags(plan: KubernetesCluster): string[] {
  const client = `http://127.0.0.1:${ETCD_PORT}`;
  const peer = `http://127.0.0.1:${ETCD_PEER_PORT}`;
  return [
    "--name=kubernetes",
    `--data-dir=${plan.etcdData}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=kubernetes=${peer}`,
  ];
}

function apiserverFlags(plan: KubernetesCluster): string[] {
  const address = linkAddress(plan.cluster.control, 4);
  return [
    `--etcd-servers=http://127.0.0.1:${ETCD_PORT}`,
    `--advertise-address=${address}`,
    `--secure-port=${API_PORT}`,
    "--insecure-port=0",
    `--tls-cert-file=${plan.serverCertificate}`,
    `--tls-private-key-file=${plan.serverKey}`,
    `--token-auth-file=${plan.tokens}`,
    "--anonymous-auth=false",
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    `--kubelet-client-certificate=${plan.kubeletClientCertificate}`,
    `--kubelet-client-key=${plan.kubeletClientKey}`,
    // Nodes' names are in no DNS.
    "--kubelet-preferred-address-types=InternalIP",
    `--service-cluster-ip-range=${plan.cluster.servicePrefixes.join(",")}`,
    `--service-account-key-file=${plan.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${plan.serviceAccountKey}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    "--allow-privileged=true",
    `--default-not-ready-toleration-seconds=${EVICTION_SECONDS}`,
    `--default-unreachable-toleration-seconds=${EVICTION_SECONDS}`,
    DUAL_STACK_GATE,
  ];
}

function controllerManagerFlags(plan: KubernetesCluster): string[] {
  return [
    `--kubeconfig=${plan.controllerManagerKubeconfig}`,
    "--leader-elect=false",
    "--port=0",
    "--secure-port=0",
    // Each controller with its own service account: Kubernetes' own roles, not an administrator's.
    "--use-service-account-credentials=true",
    `--service-account-private-key-file=${plan.serviceAccountKey}`,
    `--root-ca-file=${pkiPaths(plan.pki).caCertificate}`,
    "--allocate-node-cidrs=true",
    `--cluster-cidr=${plan.podPrefixes.join(",")}`,
    `--node-cidr-mask-size-ipv4=${plan.nodeMasks[0]}`,
    `--node-cidr-mask-size-ipv6=${plan.nodeMasks[1]}`,
    `--service-cluster-ip-range=${plan.cluster.servicePrefixes.join(",")}`,
    // By default /usr/libexec, which is the machine's.
    `--flex-volume-plugin-dir=${join(plan.directory, "volume-plugins")}`,
    "--node-monitor-period=1s",
    `--node-monitor-grace-period=${GRACE_SECONDS}s`,
    `--pod-eviction-timeout=${EVICTION_SECONDS}s`,
    DUAL_STACK_GATE,
  ];
}

function kubeletFlags({ node, kubeletConfig, kubeletKubeconfig }: KubernetesNode): string[] {
  return [
    `--config=${kubeletConfig}`,
    `--kubeconfig=${kubeletKubeconfig}`,
    // By default /usr/libexec, which is the machine's.
    "--volume-plugin-dir=/var/lib/kubelet/volume-plugins",
    `--hostname-override=${node.name}`,
    `--node-ip=${linkAddress(node, 4)}`,
    "--container-runtime=remote",
    `--container-runtime-endpoint=unix://${CONTAINERD_SOCKET}`,
    DUAL_STACK_GATE,
  ];
}

/** A KubeletConfiguration; the kubelet reads JSON as well. */
export function kubeletConfiguration(plan: KubernetesCluster): unknown {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    // Only holders of a certificate of the cluster's authority: the kube-apiserver alone.
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: pkiPaths(plan.pki).caCertificate },
    },
    authorization: { mode: "AlwaysAllow" },
    cgroupDriver: "cgroupfs",
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    evictionHard: {},
    failSwapOn: false,
    // No kube-proxy, no DNS, and no rule in anybody's iptables.
    makeIPTablesUtilChains: false,
    resolvConf: "",
    nodeStatusUpdateFrequency: `${HEARTBEAT_SECONDS}s`,
    nodeLeaseDurationSeconds: HEARTBEAT_SECONDS * 4,
    syncFrequency: "10s",
    // Images come from archives; a collector would have nowhere to get them from again.
    imageGCHighThresholdPercent: 100,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 50,
    kubeAPIBurst: 100,
    oomScoreAdj: 0,
  };
}

/** TOML; JSON's strings are TOML's. */
export function containerdConfiguration(sandboxImage: string): string {
  return [
    "version = 2",
    'root = "/var/lib/containerd"',
    'state = "/run/containerd"',
    "",
    "[grpc]",
    `address = ${JSON.stringify(CONTAINERD_SOCKET)}`,
    "",
    '[plugins."io.containerd.grpc.v1.cri"]',
    `sandbox_image = ${JSON.stringify(sandboxImage)}`,
    // A machine that is a container itself may not go beyond the limit it was given.
    "restrict_oom_score_adj = true",
    "disable_apparmor = true",
    "",
    '[plugins."io.containerd.grpc.v1.cri".containerd]',
    'snapshotter = "overlayfs"',
    "",
    '[plugins."io.containerd.grpc.v1.cri".cni]',
    'bin_dir = "/opt/cni/bin"',
    'conf_dir = "/etc/cni/net.d"',
    "",
  ].join("\n");
}

// The lab's topology as a pure value: which namespaces, links, addresses, prefixes, cgroups and
// files a lab of a given name and size has. Nothing here looks at the machine.
//
//                     tombolo-LAB-router
//        c1-control /  | c1-node1      \ c2-control …       one veth pair each, /30 and /126
//                  /   |                \
//   tombolo-LAB-east-control  tombolo-LAB-east-node1  tombolo-LAB-west-control …
//       apiserver, etcd           agent, pods
//
// No two members share a link, so every packet between them is routed.
import { join } from "node:path";
import { addressInPrefix, parsePrefix, type AddressFamily } from "../../mesh/core/address.ts";
import { parseClusterName } from "../../mesh/core/cluster.ts";
import { MeshError } from "../../mesh/core/errors.ts";

/** RFC 2544 keeps 198.18.0.0/15 for test networks; the third byte is the cluster's id. */
const UNDERLAY_IPV4 = "198.18";
/** From the unique local range (RFC 4193), beside the pods' fd00:10 and the services' fd00:96. */
const UNDERLAY_IPV6 = "fd00:18";
/** 63 links of four addresses fit beside the control link into one third byte. */
const NODES_MAX = 32;
/** Pod ranges are 10.ID, service ranges 10.(96 + ID): more clusters would make them meet. */
const CLUSTERS_MAX = 64;
/** No dash, so that no lab's names are the beginning of another lab's. */
const LAB_NAME = /^[a-z0-9]{1,20}$/;

export const UNDERLAY_MTU = 1500;
export const UPLINK_DEVICE = "uplink";
export const ETCD_PORT = 2379;
export const JOIN_PORT = 9881;
export const NATS_PORT = 4222;
export const LEAF_PORT = 7422;
export const HEALTH_PORT = 9880;
export const AGENT_HEALTH_PORT = 9879;

export interface LabSize {
  readonly name: string;
  readonly clusters: readonly string[];
  readonly nodesPerCluster: number;
  /** Present when the clusters are Kubernetes' own; absent when they are manifests directories. */
  readonly kubernetes?: LabKubernetes;
}

export interface LabKubernetes {
  /** Folder with kube-apiserver, kubelet and the others. */
  readonly assets: string;
  /** Whether Tombolo is installed in the clusters. */
  readonly install: boolean;
}

/** One network namespace on the underlay. */
export interface LabMember {
  /** "control", "node1" …: the second word of CLUSTER/MEMBER. */
  readonly member: string;
  /** "east-control", "east-node1": unique in the lab; nodes are registered under it. */
  readonly name: string;
  readonly namespace: string;
  /** The router's end of the link. */
  readonly routerDevice: string;
  /** Both families, IPv4 first; the host part is 2, the router's is 1. */
  readonly links: readonly LabLink[];
  /** Below the lab's cgroup. */
  readonly cgroup: string;
}

export interface LabLink {
  readonly family: AddressFamily;
  readonly address: string;
  readonly routerAddress: string;
  readonly prefixLength: number;
}

export interface LabNode extends LabMember {
  readonly cluster: string;
  /** Below the lab's cgroup; the agent attaches its socket programs here. */
  readonly podsCgroup: string;
  readonly podPrefixes: readonly string[];
  readonly bpfRoot: string;
  readonly directory: string;
  readonly stateDirectory: string;
  readonly socket: string;
}

export interface LabCluster {
  readonly name: string;
  readonly id: number;
  /** The cluster's directory (mesh/contexts/cluster-directory.ts). */
  readonly directory: string;
  readonly control: LabMember;
  readonly nodes: readonly LabNode[];
  readonly servicePrefixes: readonly string[];
}

/** What the machine knows the lab by; enough to remove one whose record is lost. */
export interface LabNames {
  /** Every namespace of the lab, and none of another lab, begins with this. */
  readonly namespacePrefix: string;
  /** Directory of the lab below the root of cgroup2. */
  readonly cgroup: string;
}

export interface LabPlan extends LabSize, LabNames {
  readonly routerNamespace: string;
  readonly paths: LabPaths;
  readonly clusters: readonly string[];
  readonly members: readonly LabCluster[];
}

export interface LabPaths {
  readonly home: string;
  /** Everything the lab keeps. */
  readonly root: string;
  /** Says which lab this is; written first, removed last. */
  readonly record: string;
  readonly logs: string;
  /** What was started, with process ids. */
  readonly run: string;
  readonly pods: string;
  /** Lives until the machine stops; holds the owner's record and the bpf file system. */
  readonly runtime: string;
  readonly owner: string;
  readonly bpf: string;
}

/** Throws `invalid_argument` for a name or size that no lab can have. */
export function planLab(size: LabSize, home: string): LabPlan {
  const name = parseLabName(size.name);
  validateSize(size);
  const paths = labPaths(name, home);
  return {
    ...size,
    paths,
    ...labNames(name),
    routerNamespace: `tombolo-${name}-router`,
    members: size.clusters.map((cluster, index) =>
      planCluster({ lab: name, cluster, id: index + 1, nodes: size.nodesPerCluster, paths }),
    ),
  };
}

export function labNames(name: string): LabNames {
  return { namespacePrefix: `tombolo-${name}-`, cgroup: `tombolo-${name}` };
}

/** Returns the name or throws `invalid_argument`. */
export function parseLabName(name: string): string {
  if (LAB_NAME.test(name)) return name;
  throw new MeshError(
    "invalid_argument",
    `Cannot use ${JSON.stringify(name)} as lab name: want 1 to 20 lower-case letters and digits`,
  );
}

export function labPaths(name: string, home: string): LabPaths {
  const root = join(home, "lab", name);
  const runtime = join("/run/tombolo", name);
  return {
    home,
    root,
    record: join(root, "lab.json"),
    logs: join(root, "logs"),
    run: join(root, "run"),
    pods: join(root, "pods"),
    runtime,
    owner: join(runtime, "owner.json"),
    bpf: join(runtime, "bpf"),
  };
}

/** Every namespace that has a link to the router. */
export function labMembers(plan: LabPlan): LabMember[] {
  return plan.members.flatMap(({ control, nodes }) => [control, ...nodes]);
}

export function labNodes(plan: LabPlan): LabNode[] {
  return plan.members.flatMap(({ nodes }) => nodes);
}

/** Throws `not_found` with the names there are. */
export function findCluster(plan: LabPlan, name: string): LabCluster {
  const cluster = plan.members.find((candidate) => candidate.name === name);
  if (cluster !== undefined) return cluster;
  throw new MeshError("not_found", `Cannot find cluster "${name}" in lab "${plan.name}"`, {
    hint: `there are: ${plan.clusters.join(", ")}`,
  });
}

/** `node` is "node1" or "east-node1". Throws `not_found` with the names there are. */
export function findNode(cluster: LabCluster, node: string): LabNode {
  const found = cluster.nodes.find(({ member, name }) => member === node || name === node);
  if (found !== undefined) return found;
  throw new MeshError("not_found", `Cannot find node "${node}" in cluster "${cluster.name}"`, {
    hint: `there are: ${cluster.nodes.map(({ member }) => member).join(", ")}`,
  });
}

export function linkAddress(member: LabMember, family: AddressFamily): string {
  const link = member.links.find((candidate) => candidate.family === family);
  if (link === undefined) throw new RangeError(`${member.name} has no IPv${family} link`);
  return link.address;
}

/** Every address of the cluster's members on the underlay. */
export function underlayPrefix(clusterId: number, family: AddressFamily): string {
  return family === 4
    ? `${UNDERLAY_IPV4}.${clusterId}.0/24`
    : `${UNDERLAY_IPV6}:${clusterId.toString(16)}::/48`;
}

function validateSize(size: LabSize): void {
  if (size.clusters.length < 1 || size.clusters.length > CLUSTERS_MAX) {
    throw new MeshError(
      "invalid_argument",
      `Cannot make a lab of ${size.clusters.length} clusters: want 1 to ${CLUSTERS_MAX}`,
    );
  }
  for (const cluster of size.clusters) parseClusterName(cluster);
  const twice = size.clusters.find((cluster, i) => size.clusters.indexOf(cluster) !== i);
  if (twice !== undefined) {
    throw new MeshError("invalid_argument", `Cannot make a lab with two clusters "${twice}"`);
  }
  const { nodesPerCluster } = size;
  if (!Number.isInteger(nodesPerCluster) || nodesPerCluster < 1 || nodesPerCluster > NODES_MAX) {
    throw new MeshError(
      "invalid_argument",
      `Cannot make a lab with ${nodesPerCluster} nodes a cluster: want 1 to ${NODES_MAX}`,
    );
  }
}

interface ClusterRequest {
  readonly lab: string;
  readonly cluster: string;
  readonly id: number;
  readonly nodes: number;
  readonly paths: LabPaths;
}

function planCluster(request: ClusterRequest): LabCluster {
  const { cluster, id, paths } = request;
  const hex = id.toString(16);
  const numbers = Array.from({ length: request.nodes }, (_, i) => i + 1);
  return {
    name: cluster,
    id,
    directory: join(paths.root, "clusters", cluster),
    control: planMember({ ...request, member: "control", index: 0 }),
    nodes: numbers.map((number) => planNode(request, number)),
    servicePrefixes: [`10.${96 + id}.0.0/16`, `fd00:96:${hex}::/112`],
  };
}

function planMember(request: ClusterRequest & { member: string; index: number }): LabMember {
  const { lab, cluster, id, member, index } = request;
  const prefixes = [
    `${UNDERLAY_IPV4}.${id}.${index * 4}/30`,
    `${UNDERLAY_IPV6}:${id.toString(16)}:${index.toString(16)}::/126`,
  ].map(parsePrefix);
  return {
    member,
    name: `${cluster}-${member}`,
    namespace: `tombolo-${lab}-${cluster}-${member}`,
    routerDevice: `c${id}-${member}`,
    cgroup: `${cluster}-${member}`,
    links: prefixes.map((prefix) => ({
      family: prefix.family,
      routerAddress: addressInPrefix(prefix, 1n).text,
      address: addressInPrefix(prefix, 2n).text,
      prefixLength: prefix.length,
    })),
  };
}

function planNode(request: ClusterRequest, number: number): LabNode {
  const member = planMember({ ...request, member: `node${number}`, index: number });
  const directory = join(request.paths.root, "nodes", member.name);
  const id = request.id.toString(16);
  return {
    ...member,
    cluster: request.cluster,
    podsCgroup: `${member.cgroup}/pods`,
    podPrefixes: [
      `10.${request.id}.${number}.0/24`,
      parsePrefix(`fd00:10:${id}:${number.toString(16)}::/64`).text,
    ],
    bpfRoot: join(request.paths.bpf, member.name),
    directory,
    stateDirectory: join(directory, "state"),
    socket: join(directory, "agent.sock"),
  };
}

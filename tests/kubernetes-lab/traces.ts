// Everything by which somebody could see that Tombolo is, or was, in a cluster of the Kubernetes
// lab: the objects of its API, and on its nodes what the kernel and the file system hold.
import type { KubernetesTestLab } from "./kubernetes-lab.ts";

/** Heading → lines, sorted. */
export type Traces = Readonly<Record<string, readonly string[]>>;

/** Kinds whose objects come and go by themselves, or are answers rather than objects. */
const FLEETING = ["componentstatuses", "events", "events.events.k8s.io"];
const NAMES = "{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}";

/**
 * Shell lines a heading. Forwarding is on before and after: the lab's nodes forward like any that
 * are to run pods.
 */
const COMMANDS: Readonly<Record<string, string>> = {
  interfaces: "ip -oneline link | sed 's/^[0-9]*: //'",
  addresses: "ip -oneline address | sed 's/^[0-9]*: //'",
  "routes IPv4": "ip -4 route show table all",
  "routes IPv6": "ip -6 route show table all",
  "rules IPv4": "ip -4 rule",
  "rules IPv6": "ip -6 rule",
  // Others come and go with traffic.
  neighbours: "ip neigh show nud permanent",
  nftables: "nft list ruleset",
  "traffic control": [
    "for name in $(ls /sys/class/net); do",
    '  if ip link show "$name" > /dev/null 2>&1; then',
    '    tc qdisc show dev "$name"',
    '    for side in ingress egress; do tc filter show dev "$name" $side; done',
    "  fi",
    "done",
  ].join("\n"),
  "programs of cgroups": "bpftool cgroup tree",
  // Some may only be written.
  settings: "cd /proc/sys/net && grep -rs . ipv4/conf ipv4/ip_forward ipv6/conf || true",
  // Of what runtimes keep of pods only the files: the directories are theirs.
  files: [
    "find /etc/cni/net.d /opt/cni /opt/tombolo /sys/fs/bpf /var/run/tombolo 2> /dev/null || true",
    "find /run/netns /var/lib/cni -not -type d 2> /dev/null || true",
    "ls -d /opt/*",
  ].join("\n"),
};

export async function readClusterTraces(
  lab: KubernetesTestLab,
  { cluster, nodes }: { readonly cluster: string; readonly nodes: readonly string[] },
): Promise<Traces> {
  const traces: Record<string, readonly string[]> = {
    objects: await readObjects(lab, cluster),
  };
  for (const node of nodes) {
    for (const [what, script] of Object.entries(COMMANDS)) {
      const text = await lab.onNode({ cluster, node }, ["sh", "-c", script]);
      traces[`${node}: ${what}`] = linesOf(text);
    }
  }
  return traces;
}

/** "KIND NAMESPACE/NAME" of every object of every kind that the server has. */
export async function readObjects(lab: KubernetesTestLab, cluster: string): Promise<string[]> {
  const kinds = await lab.kubectl(cluster, ["api-resources", "--verbs=list", "--output=name"]);
  const wanted = linesOf(kinds).filter((kind) => !FLEETING.includes(kind));
  const path = `jsonpath=${NAMES}{"\\n"}{end}`;
  return linesOf(await lab.kubectl(cluster, ["get", wanted.join(","), "-A", "-o", path]));
}

/**
 * Object → version, of everything that belongs to an installation; identities come and go with the
 * cluster's pods.
 */
export async function readVersions(
  lab: KubernetesTestLab,
  place: { readonly cluster: string; readonly namespace: string },
): Promise<string[]> {
  const { cluster, namespace } = place;
  const line = `${NAMES} {.metadata.resourceVersion}{"\\n"}{end}`;
  const namespaced =
    "configmaps,secrets,services,serviceaccounts,deployments,daemonsets,replicasets,pods," +
    "roles,rolebindings,poddisruptionbudgets,endpointslices,leases";
  const still = ["-l", "!tombolo.io/identities"];
  const inside = ["get", namespaced, ...still, "-n", namespace, "-o", `jsonpath=${line}`];
  const selector = ["-l", "app.kubernetes.io/managed-by=mesh-install"];
  const outside = ["get", "namespaces,clusterroles,clusterrolebindings", ...selector];
  return linesOf(
    (await lab.kubectl(cluster, inside)) +
      (await lab.kubectl(cluster, [...outside, "-o", `jsonpath=${line}`])),
  );
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .sort();
}

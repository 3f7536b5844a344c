// The truth table's lab: two connected clusters, the pods of tests/policy/layout.ts, a prober in
// each of them, in every node and outside of everything; policies applied as manifests, and what is
// in force asked of the agents.
import { findLabPlace, type LabPlace } from "../../deploy/lab/enter.ts";
import { deleteManifest, writeManifest, type Manifest } from "../../deploy/lab/manifests.ts";
import { ipBatch } from "../../deploy/lab/namespaces.ts";
import { findCluster, labNodes, linkAddress, type LabNode } from "../../deploy/lab/plan.ts";
import { createPod, type PodHost, type PodSpec, type PodStatus } from "../../deploy/lab/pods.ts";
import { writeService } from "../../deploy/lab/services.ts";
import { createAgentClient, type AgentClient } from "../../mesh/api/agent-client.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { eventually } from "../fakes/eventually.ts";
import type { Applied } from "../policy/documents.ts";
import {
  OUTSIDE,
  PLANNED_PODS,
  PROBED_PORTS,
  SERVICES,
  WORLD_NAMESPACES,
  type PlannedPod,
} from "../policy/layout.ts";
import { addressOf, partyName, type Packet, type Party, type World } from "../policy/world.ts";
import { startProber, type Prober, type ProbeTarget } from "./prober.ts";
import { never } from "./test-lab.ts";

const LIMIT_MS = 120_000;
/** Ports of a node's own programs are left to them. */
const NODE_PORTS = PROBED_PORTS.filter(({ port }) => port !== 53);

export interface PolicyLab {
  readonly host: PodHost;
  readonly world: World;
  readonly agents: ReadonlyMap<string, AgentClient>;
  /** Which packets came through, in their order; every one is asked within the limit. */
  probe(packets: readonly Packet[], limitMs: number): Promise<boolean[]>;
  close(): Promise<void>;
}

export async function openPolicyLab(
  host: PodHost,
  planned: readonly PlannedPod[] = PLANNED_PODS,
): Promise<PolicyLab> {
  const pods = await Promise.all(planned.map((pod) => createPod(host, specOf(pod), never)));
  await writeNamespacesAndServices(host);
  await addOutside(host);
  const world = worldOf(host, { planned, pods });
  const probers = await startProbers(host, world);
  const agents = new Map(
    labNodes(host.plan).map(({ name, socket }) => [
      name,
      createAgentClient({ socket, clock: systemClock }),
    ]),
  );
  return {
    host,
    world,
    agents,
    probe: (packets, limitMs) => probeAll(probers, { packets, limitMs }),
    async close() {
      for (const agent of agents.values()) agent.close();
      await Promise.all([...new Set(probers.values())].map((prober) => prober.stop()));
    },
  };
}

function specOf(pod: PlannedPod): PodSpec {
  const { cluster, namespace, name, labels, serviceAccount, ports } = pod;
  const workload = { kind: "command", argv: ["sleep", "infinity"] } as const;
  const node = `node${pod.node}`;
  return { cluster, node, namespace, name, labels, serviceAccount, workload, ports };
}

/** After the pods, whose making writes namespaces without labels. */
async function writeNamespacesAndServices(host: PodHost): Promise<void> {
  for (const { cluster, name, labels } of WORLD_NAMESPACES) {
    const { manifests } = clusterPaths(findCluster(host.plan, cluster).directory);
    const number = 20 + WORLD_NAMESPACES.findIndex((one) => one.name === name);
    for (const service of SERVICES) {
      if (service.cluster !== cluster || service.namespace !== name) continue;
      await writeService(findCluster(host.plan, cluster), {
        ...service,
        number,
        annotations: {},
        port: 80,
        targetPort: 8080,
      });
    }
    const metadata = { name, labels: { ...labels } };
    await writeManifest(manifests, { apiVersion: "v1", kind: "Namespace", metadata });
  }
}

/** Addresses of the router that stand for the world, and its ways to the pods. */
async function addOutside(host: PodHost): Promise<void> {
  const lines = [
    "link set lo up",
    ...OUTSIDE.flatMap(({ ipv4, ipv6 }) => [
      `addr replace ${ipv4}/32 dev lo`,
      `addr replace ${ipv6}/128 dev lo nodad`,
    ]),
    ...labNodes(host.plan).flatMap((node) =>
      node.podPrefixes.map(
        (prefix) =>
          `route replace ${prefix} via ${linkAddress(node, prefix.includes(":") ? 6 : 4)}`,
      ),
    ),
  ];
  await ipBatch({ namespace: host.plan.routerNamespace, lines }, never);
}

function worldOf(
  host: PodHost,
  { planned, pods }: { planned: readonly PlannedPod[]; pods: readonly PodStatus[] },
): World {
  return {
    scope: "local",
    namespaces: WORLD_NAMESPACES,
    services: SERVICES,
    outside: OUTSIDE,
    nodes: labNodes(host.plan).map((node) => ({
      kind: "node",
      cluster: node.cluster,
      name: node.name,
      ipv4: linkAddress(node, 4),
      ipv6: linkAddress(node, 6),
    })),
    pods: planned.map((pod, i) => {
      const addresses = pods[i]?.addresses ?? [];
      return {
        ...pod,
        kind: "pod",
        node: `${pod.cluster}-node${pod.node}`,
        ipv4: addresses.find((address) => !address.includes(":")) ?? "",
        ipv6: addresses.find((address) => address.includes(":")) ?? "",
      };
    }),
  };
}

/** By the name of the party. Whoever is outside shares one. */
async function startProbers(host: PodHost, world: World): Promise<ReadonlyMap<string, Prober>> {
  const router: LabPlace = {
    namespace: host.plan.routerNamespace,
    cgroup: `${host.cgroupRoot}/${host.plan.cgroup}/outside`,
  };
  const outside = startProber(
    router,
    PROBED_PORTS,
    world.outside.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]),
  );
  const started = [
    ...world.outside.map((party) => ({ party, prober: outside })),
    ...world.nodes.map((party) => ({
      party,
      prober: findLabPlace(host, `${party.cluster}/${party.name}`).then((place) =>
        startProber(place, NODE_PORTS, [party.ipv4, party.ipv6]),
      ),
    })),
    ...world.pods.map((party) => ({
      party,
      prober: findLabPlace(host, `${party.cluster}/${party.namespace}/${party.name}`).then(
        (place) => startProber(place, PROBED_PORTS),
      ),
    })),
  ];
  const probers = new Map<string, Prober>();
  for (const { party, prober } of started) probers.set(partyName(party), await prober);
  return probers;
}

async function probeAll(
  probers: ReadonlyMap<string, Prober>,
  { packets, limitMs }: { packets: readonly Packet[]; limitMs: number },
): Promise<boolean[]> {
  const bySender = new Map<Prober, number[]>();
  for (const [index, { from }] of packets.entries()) {
    const prober = probers.get(partyName(from));
    if (prober === undefined) throw new Error(`Nobody probes for ${partyName(from)}`);
    const list = bySender.get(prober);
    if (list === undefined) bySender.set(prober, [index]);
    else list.push(index);
  }
  const came: boolean[] = packets.map(() => false);
  await Promise.all(
    [...bySender].map(async ([prober, indices]) => {
      const targets = indices.flatMap((index) => targetOf(packets[index]) ?? []);
      const answered = await prober.ask(targets, limitMs);
      for (const [i, index] of indices.entries()) came[index] = answered[i] === true;
    }),
  );
  return came;
}

function targetOf(packet: Packet | undefined): ProbeTarget | undefined {
  if (packet === undefined) return undefined;
  const { from, to, family, protocol, port } = packet;
  const target = { protocol, address: addressOf(to, family), port };
  return from.kind === "outside" ? { ...target, from: addressOf(from, family) } : target;
}

/** What somebody answers: a node's own programs have some of its ports. */
export function canBeProbed({ to, protocol, port }: Packet): boolean {
  if (to.kind !== "node" || protocol === "ICMP" || protocol === "ICMPv6") return true;
  return NODE_PORTS.some((one) => one.port === port);
}

/** Replaces the policies of before, and resolves once every agent enforces the new ones. */
export async function applyPolicies(
  lab: PolicyLab,
  change: { readonly from: readonly Applied[]; readonly to: readonly Applied[] },
): Promise<void> {
  const directory = (cluster: string): string =>
    clusterPaths(findCluster(lab.host.plan, cluster).directory).manifests;
  await Promise.all([
    ...change.to.map(({ cluster, document }) =>
      writeManifest(directory(cluster), document as unknown as Manifest),
    ),
    ...change.from.map(({ cluster, document }) =>
      deleteManifest(directory(cluster), document as unknown as Manifest),
    ),
  ]);
  await untilEnforced(lab, change.to, lab.host.plan.clusters);
}

/** Until the agents of these clusters have the cluster's documents, no others, and enforce them. */
export async function untilEnforced(
  { host, agents }: PolicyLab,
  documents: readonly Applied[],
  clusters: readonly string[],
): Promise<void> {
  const namesOf = (name: string): string[] =>
    documents
      .filter(({ cluster }) => cluster === name)
      .map(({ document: { kind, metadata } }) =>
        [kind, metadata.namespace ?? "", metadata.name].join("/"),
      )
      .sort();
  await Promise.all(
    labNodes(host.plan)
      .filter(({ cluster }) => clusters.includes(cluster))
      .map((node) =>
        eventually(() => enforces(agents, node, namesOf(node.cluster)), {
          limitMs: LIMIT_MS,
          what: `${node.name} enforces ${namesOf(node.cluster).join(", ")}`,
          pollMs: 50,
        }),
      ),
  );
}

async function enforces(
  agents: ReadonlyMap<string, AgentClient>,
  node: LabNode,
  names: readonly string[],
): Promise<boolean> {
  const agent = agents.get(node.name);
  if (agent === undefined) return false;
  const { policies, synced } = await agent.listPolicies({ namespace: "" }, never);
  const held = policies.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`).sort();
  if (!synced || held.join() !== names.join()) return false;
  if (!policies.every(({ inForce }) => inForce)) return false;
  const { endpoints } = await agent.listEndpoints({ namespace: "" }, never);
  return endpoints.every(({ inForce, identity }) => inForce && identity !== 0);
}

export function isPodToPod({ from, to }: { from: Party; to: Party }): boolean {
  return from.kind === "pod" && to.kind === "pod";
}

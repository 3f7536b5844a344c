// What the project makes of policy documents, without a kernel: parsed as manifests, resolved as
// the apiserver does, computed by one engine a node, and looked up by map-lookup.ts.
import { stringify } from "yaml";
import { createPolicyEngine, type PolicyEngine } from "../../agent/policy/engine.ts";
import type { PolicyEntry } from "../../agent/policy/entry.ts";
import { policyFromObject } from "../../apiserver/export/policy-record.ts";
import { parseManifestFile } from "../../apiserver/source/manifests/parse-file.ts";
import type { ServiceObject } from "../../apiserver/source/objects.ts";
import type { PolicyObject } from "../../apiserver/source/policy/policy-object.ts";
import { identityRange } from "../../mesh/core/identity.ts";
import { policyKey } from "../../mesh/core/policy.ts";
import { identityLabelsForPod } from "../../mesh/kvstore/records/identity-labels.ts";
import { documentName, type Applied } from "./documents.ts";
import { CLUSTERS } from "./layout.ts";
import { mapAllows, type MapEntry } from "./map-lookup.ts";
import { isOwnNode, type Direction } from "./question.ts";
import { addressOf, namespaceLabelsOf, partyName } from "./world.ts";
import type { Packet, Party, Pod, World } from "./world.ts";

const HOST = 1;
const REMOTE_NODE = 6;
const MAX_CONNECTED_CLUSTERS = 255;

export interface ProjectAnswers {
  /** In place of all documents of before: the engines follow as agents do, by what changed. */
  apply(documents: readonly Applied[]): void;
  allows(packet: Packet): boolean;
  /** Entries in force, of all pods. */
  readonly entries: number;
}

export function createProjectAnswers(world: World): ProjectAnswers {
  const identities = numberIdentities(world);
  const engines = new Map(
    world.nodes.map((node) => [node.name, createNodeEngine(world, { node, identities })]),
  );
  let inForce = new Map<string, Applied>();
  const maps = new Map<string, readonly MapEntry[]>();

  function apply(documents: readonly Applied[]): void {
    const wanted = new Map(documents.map((applied) => [documentName(applied), applied]));
    const gone = [...inForce].filter(([name]) => !wanted.has(name)).map(([, applied]) => applied);
    for (const { name, cluster } of world.nodes) {
      const engine = engineOf(engines, name);
      for (const applied of gone) {
        if (applied.cluster === cluster) engine.setPolicy(keyOf(applied, world), undefined);
      }
      for (const applied of wanted.values()) {
        if (applied.cluster !== cluster) continue;
        const policy = policyOf(applied, world);
        engine.setPolicy(policyKey(policy), policy);
      }
      while (engine.take().unfinished);
    }
    inForce = wanted;
    maps.clear();
    for (const pod of world.pods) {
      const entries = engineOf(engines, pod.node).entriesOf(partyName(pod));
      if (entries !== undefined) maps.set(partyName(pod), [...entries.values()].map(mapEntry));
    }
  }

  function endAllows(packet: Packet, direction: Direction): boolean {
    const [subject, peer] =
      direction === "egress" ? [packet.from, packet.to] : [packet.to, packet.from];
    if (subject.kind !== "pod") return true;
    const entries = maps.get(partyName(subject));
    if (entries === undefined) return false;
    const engine = engineOf(engines, subject.node);
    const identity = identityOf({ subject, peer, packet }, { engine, identities });
    const ownClusterId = clusterId(subject.cluster);
    const { protocol, port } = packet;
    return mapAllows(entries, { direction, identity, protocol, port, ownClusterId });
  }

  return {
    apply,
    allows: (packet) => endAllows(packet, "egress") && endAllows(packet, "ingress"),
    get entries() {
      return [...maps.values()].reduce((sum, { length }) => sum + length, 0);
    },
  };
}

function engineOf(engines: ReadonlyMap<string, PolicyEngine>, node: string): PolicyEngine {
  const engine = engines.get(node);
  if (engine === undefined) throw new RangeError(`There is no node ${node}`);
  return engine;
}

function clusterId(name: string): number {
  return CLUSTERS.findIndex((cluster) => cluster === name) + 1;
}

interface Identities {
  readonly numberOf: ReadonlyMap<string, number>;
  readonly labels: ReadonlyMap<number, readonly string[]>;
}

/** Equal labels, equal numbers; each cluster from the beginning of its own range. */
function numberIdentities(world: World): Identities {
  const numberOf = new Map<string, number>();
  const labels = new Map<number, readonly string[]>();
  const byText = new Map<string, number>();
  for (const pod of world.pods) {
    const texts = identityLabelsForPod({
      cluster: pod.cluster,
      namespace: pod.namespace,
      namespaceLabels: new Map(Object.entries(namespaceLabelsOf(world, pod))),
      serviceAccount: pod.serviceAccount,
      labels: new Map(Object.entries(pod.labels)),
    });
    const { first } = identityRange(clusterId(pod.cluster), MAX_CONNECTED_CLUSTERS);
    const number = byText.get(texts.join(";")) ?? first + 1 + byText.size;
    byText.set(texts.join(";"), number);
    numberOf.set(partyName(pod), number);
    labels.set(number, texts);
  }
  return { numberOf, labels };
}

function createNodeEngine(
  world: World,
  {
    node,
    identities,
  }: {
    readonly node: { readonly name: string; readonly cluster: string };
    readonly identities: Identities;
  },
): PolicyEngine {
  const range = identityRange(clusterId(node.cluster), MAX_CONNECTED_CLUSTERS);
  const engine = createPolicyEngine({ ownCluster: { name: node.cluster, identities: range } });
  for (const [number, labels] of identities.labels) engine.setIdentity(number, labels);
  for (const pod of world.pods) {
    const identity = identities.numberOf.get(partyName(pod)) ?? 0;
    const ports = pod.ports.map(({ name, containerPort, protocol }) => ({
      name,
      port: containerPort,
      protocol,
    }));
    engine.setNamedPorts(partyName(pod), { identity, ports });
    if (pod.node === node.name) {
      engine.setEndpoint(partyName(pod), { identity, namedPorts: ports });
    }
  }
  return engine;
}

function identityOf(
  { subject, peer, packet }: { subject: Pod; peer: Party; packet: Packet },
  { engine, identities }: { engine: PolicyEngine; identities: Identities },
): number {
  switch (peer.kind) {
    case "pod":
      return identities.numberOf.get(partyName(peer)) ?? 0;
    case "node":
      return isOwnNode(subject, peer) ? HOST : REMOTE_NODE;
    case "outside":
      return engine.numberOfAddress(addressOf(peer, packet.family));
  }
}

function keyOf(applied: Applied, world: World): string {
  return policyKey(policyOf(applied, world));
}

function policyOf(
  { cluster, document }: Applied,
  world: World,
): ReturnType<typeof policyFromObject> {
  const { objects, problems } = parseManifestFile("policy.yaml", stringify(document));
  const [placed] = objects;
  if (placed === undefined) {
    const said = problems.map(({ message }) => message).join("; ");
    throw new Error(`${documentName({ cluster, document })} cannot be read: ${said}`);
  }
  const services = world.services.filter((service) => service.cluster === cluster);
  return policyFromObject(placed.object as PolicyObject, {
    cluster,
    scope: world.scope,
    services: ({ namespace, name }) =>
      services
        .filter((one) => one.name === name && (namespace === "" || one.namespace === namespace))
        .map((one) => ({ service: serviceObject(one), addresses: () => [] })),
  });
}

/** As much of a Service as peers are resolved by. */
function serviceObject(service: World["services"][number]): ServiceObject {
  const { namespace, name, selector } = service;
  const { objects } = parseManifestFile(
    "service.yaml",
    stringify({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name },
      spec: { selector, clusterIP: "10.96.0.1", ports: [{ port: 80 }] },
    }),
  );
  const found = objects[0]?.object;
  if (found?.kind !== "Service") throw new Error(`The service ${name} cannot be read`);
  return found;
}

function mapEntry({ direction, identity, protocol, port, ...rest }: PolicyEntry): MapEntry {
  const ports = 2 ** (16 - rest.portPrefixBits);
  const lastPort = port + ports - 1;
  return { direction, identity, protocol, firstPort: port, lastPort, verdict: rest.verdict };
}

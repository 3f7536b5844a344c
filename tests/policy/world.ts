// Whom policies are about, as the reference evaluator sees them: pods and nodes of several
// clusters, services, and addresses outside of everything.

export interface Pod {
  readonly kind: "pod";
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly ports: readonly {
    readonly name: string;
    readonly containerPort: number;
    readonly protocol: "TCP" | "UDP";
  }[];
}

export interface Node {
  readonly kind: "node";
  readonly cluster: string;
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

/** A host that is no part of the mesh. */
export interface Outside {
  readonly kind: "outside";
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

export type Party = Pod | Node | Outside;

export interface Namespace {
  readonly cluster: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** One with a selector, of its cluster. */
export interface WorldService {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
}

export interface World {
  /** Whom selectors mean that name no cluster: pods of their own cluster, or of all. */
  readonly scope: "local" | "all";
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly nodes: readonly Node[];
  readonly outside: readonly Outside[];
  readonly services: readonly WorldService[];
}

export interface Packet {
  readonly from: Party;
  readonly to: Party;
  readonly family: 4 | 6;
  readonly protocol: "TCP" | "UDP" | "ICMP" | "ICMPv6";
  /** Of the destination; of ICMP the type. */
  readonly port: number;
}

export function addressOf(party: Party, family: 4 | 6): string {
  return family === 4 ? party.ipv4 : party.ipv6;
}

export function namespaceLabelsOf(world: World, pod: Pod): Readonly<Record<string, string>> {
  const found = world.namespaces.find(
    ({ cluster, name }) => cluster === pod.cluster && name === pod.namespace,
  );
  return found?.labels ?? {};
}

/** Whether a selector without a word about clusters can mean the pod. */
export function isInScope({ scope }: World, subject: Pod, peer: Pod): boolean {
  return scope === "all" || peer.cluster === subject.cluster;
}

export function partyName(party: Party): string {
  switch (party.kind) {
    case "pod":
      return `${party.namespace}/${party.name}@${party.cluster}`;
    case "node":
      return `node ${party.name}`;
    case "outside":
      return `outside ${party.name}`;
  }
}

/** `shop/web-1@east → data/db-1@west IPv6 TCP 8080` */
export function packetName({ from, to, family, protocol, port }: Packet): string {
  return `${partyName(from)} → ${partyName(to)} IPv${family} ${protocol} ${port}`;
}

/** `web-1 > db-1 TCP 443`: pods by their names, which must be the only ones. */
export function packetFromText(world: World, text: string, family: 4 | 6): Packet {
  const [, from, to, protocol, port] = /^(\S+) > (\S+) (TCP|UDP) (\d+)$/.exec(text) ?? [];
  const podOf = (name: string | undefined): Pod => {
    const [found, ...others] = world.pods.filter((pod) => pod.name === name);
    if (found === undefined || others.length > 0) throw new Error(`No one pod is "${name}"`);
    return found;
  };
  if (protocol !== "TCP" && protocol !== "UDP") throw new Error(`No packet is "${text}"`);
  return { from: podOf(from), to: podOf(to), family, protocol, port: Number(port) };
}

// What the kernels of a lab's nodes would say to packets: identities by the longest row of a node's
// ipcache, and the map of the pod at each end, looked up by tests/policy/map-lookup.ts.
import { mapAddressFromAddress } from "../../bpf/address.ts";
import { openDatapathMaps } from "../../bpf/datapath.ts";
import { openPolicyMaps } from "../../bpf/policy-maps.ts";
import { labNodes } from "../../deploy/lab/plan.ts";
import { collectIpcache } from "../../mesh/commands/bpf-ipcache.ts";
import { collectPolicies } from "../../mesh/commands/bpf-policy.ts";
import { parseAddress } from "../../mesh/core/address.ts";
import { mapAllows, type MapEntry } from "../policy/map-lookup.ts";
import { isOwnNode } from "../policy/question.ts";
import { cidrContains } from "../policy/reference-selector.ts";
import { addressOf, partyName, type Packet, type Party, type Pod } from "../policy/world.ts";
import type { PolicyLab } from "./policy-lab.ts";

const HOST = 1;
const WORLD = { 4: 9, 6: 10 } as const;

interface NodeView {
  /** Address → identity, asked once. */
  readonly identityOf: (address: string, family: 4 | 6) => number;
  /** Pod's name → its map; none while it is closed. */
  readonly entries: ReadonlyMap<string, readonly MapEntry[]>;
}

/** Whether both ends' maps allow each packet, in their order. */
export function readMapVerdicts(lab: PolicyLab, packets: readonly Packet[]): boolean[] {
  const views = new Map(labNodes(lab.host.plan).map((node) => [node.name, readNode(lab, node)]));
  const endAllows = (packet: Packet, direction: "ingress" | "egress"): boolean => {
    const [subject, peer] =
      direction === "egress" ? [packet.from, packet.to] : [packet.to, packet.from];
    if (subject.kind !== "pod") return true;
    const view = views.get(subject.node);
    const entries = view?.entries.get(partyName(subject));
    if (view === undefined || entries === undefined) return false;
    const identity = identityOf(view, { subject, peer, family: packet.family });
    const ownClusterId =
      lab.host.plan.members.find(({ name }) => name === subject.cluster)?.id ?? 0;
    const { protocol, port } = packet;
    return mapAllows(entries, { direction, identity, protocol, port, ownClusterId });
  };
  return packets.map((packet) => endAllows(packet, "egress") && endAllows(packet, "ingress"));
}

function identityOf(
  view: NodeView,
  { subject, peer, family }: { subject: Pod; peer: Party; family: 4 | 6 },
): number {
  // Whatever address it takes towards its own pods.
  if (isOwnNode(subject, peer)) return HOST;
  return view.identityOf(addressOf(peer, family), family);
}

function readNode(
  { world }: PolicyLab,
  node: { readonly name: string; readonly bpfRoot: string },
): NodeView {
  using maps = openDatapathMaps(node.bpfRoot);
  using policies = openPolicyMaps(node.bpfRoot);
  const rows = collectIpcache(maps)
    .map(({ prefix, identity }) => ({ prefix, identity, length: Number(prefix.split("/")[1]) }))
    .sort((a, b) => b.length - a.length);
  const known = new Map<string, number>();
  const views = new Map(
    collectPolicies({ policyState: maps.policyState, policies }).map((view) => [
      view.ifindex,
      view.enforcement === "on" ? view.entries : undefined,
    ]),
  );
  const entries = new Map<string, readonly MapEntry[]>();
  for (const pod of world.pods) {
    if (pod.node !== node.name) continue;
    const address = mapAddressFromAddress(parseAddress(pod.ipv4));
    const held = views.get(maps.endpoints.get({ address })?.ifindex ?? 0);
    if (held !== undefined) entries.set(partyName(pod), held as readonly MapEntry[]);
  }
  return {
    entries,
    identityOf(address, family) {
      const found =
        known.get(address) ??
        rows.find(({ prefix }) => cidrContains(prefix, address))?.identity ??
        WORLD[family];
      known.set(address, found);
      return found;
    },
  };
}

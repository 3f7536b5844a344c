// A record of the kernel → what people are told of a flow: times as on the wall, numbers as names.
import { addressFromMapAddress } from "../../bpf/address.ts";
import { FlowKind, FlowVerdict, TrafficDirection, type FlowRecord } from "../../bpf/gen/layout.ts";
import type { AgentFlow, FlowEnd } from "../../mesh/api/policy-messages.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { LocalEndpoint } from "../endpoints/local-endpoints.ts";
import type { PolicyEngine } from "../policy/engine.ts";
import { openIdentityBook, type IdentityBookParts, type KnownPod } from "./identity-book.ts";
import { dropWord, isIcmp, protocolName } from "./words.ts";

export interface DecorateParts extends IdentityBookParts {
  readonly nodeName: string;
  readonly endpoints: Pick<Table<LocalEndpoint>, "entries">;
  readonly engine: Pick<PolicyEngine, "rows" | "ruleOf">;
  /** Of a time by the kernel's clock. */
  readonly wallMs: (timeNs: bigint) => number;
}

/** One end, before it has names. */
interface BareEnd {
  readonly address: Uint8Array;
  readonly port: number;
  readonly identity: number;
  readonly isLocal: boolean;
}

const STATE: Readonly<Record<FlowKind, string>> = {
  [FlowKind.new]: "new",
  [FlowKind.update]: "update",
  [FlowKind.closed]: "closed",
  [FlowKind.dropped]: "",
};
const ECHO_REQUEST: ReadonlyMap<number, number> = new Map([
  [0, 8],
  [129, 128],
]);

/** For one batch: what it knows is what is known now. */
export function createDecorator(parts: DecorateParts): (record: FlowRecord) => AgentFlow {
  const book = openIdentityBook(parts);
  const podsByInterface = new Map<number, KnownPod>();
  for (const [, { pod, ifindex }] of parts.endpoints.entries()) {
    const known = podFromName(pod);
    if (known !== undefined) podsByInterface.set(ifindex, known);
  }

  function end({ address, port, identity, isLocal }: BareEnd, ifindex: number): FlowEnd {
    const { text } = addressFromMapAddress(address);
    // A pod is who owns the interface, whatever address it pretends to have.
    const local = isLocal ? podsByInterface.get(ifindex) : undefined;
    const pod = local ?? book.podAt(text, identity);
    const { cluster, labels } = book.identity(identity);
    const { namespace = "", name = "" } = pod ?? {};
    return { address: text, port, identity, cluster, namespace, pod: name, labels };
  }

  return (record) => {
    const { kind, ifindex, rule, protocol } = record;
    const { source, destination } = endsOf(record);
    return {
      timeMs: parts.wallMs(record.timeNs),
      node: parts.nodeName,
      verdict: record.verdict === FlowVerdict.dropped ? "dropped" : "forwarded",
      reason: dropWord(record.dropReason),
      direction: directionName(record.direction),
      protocol: protocolName(protocol),
      source: end(source, ifindex),
      destination: end(destination, ifindex),
      rule: rule === 0 ? null : (parts.engine.ruleOf(rule)[0] ?? null),
      packets: Number(record.packets),
      bytes: Number(record.bytes),
      replyPackets: Number(record.replyPackets),
      replyBytes: Number(record.replyBytes),
      state: STATE[kind],
    };
  };
}

/**
 * Of a connection the one who opened it is the source, whichever packet made the record; of a
 * packet that was dropped its own ends.
 */
function endsOf(record: FlowRecord): { readonly source: BareEnd; readonly destination: BareEnd } {
  const isReply = record.isReply !== 0;
  const opens = record.direction === TrafficDirection.egress;
  const isFromPod = opens !== isReply;
  const isTurned = isReply && record.kind !== FlowKind.dropped;
  const source = {
    address: record.source,
    port: record.sourcePort,
    identity: record.sourceIdentity,
    isLocal: isFromPod,
  };
  const destination = {
    address: record.destination,
    port: isIcmp(record.protocol) ? record.icmpType : record.destinationPort,
    identity: record.destinationIdentity,
    isLocal: !isFromPod,
  };
  if (!isTurned) return { source, destination };
  if (!isIcmp(record.protocol)) return { source: destination, destination: source };
  const type = ECHO_REQUEST.get(record.icmpType) ?? record.icmpType;
  return { source: { ...destination, port: 0 }, destination: { ...source, port: type } };
}

function directionName(direction: TrafficDirection): string {
  if (direction === TrafficDirection.ingress) return "ingress";
  return direction === TrafficDirection.egress ? "egress" : "";
}

/** `namespace/name` as the runtime said it. */
function podFromName(text: string): KnownPod | undefined {
  const slash = text.indexOf("/");
  return slash < 0 ? undefined : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

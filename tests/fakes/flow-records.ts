// Flow records as the kernel would write them, of one connection: west's web-9 to the pod cart-1
// behind interface 12.
import { FlowKind, FlowVerdict, TrafficDirection, type FlowRecord } from "../../bpf/gen/layout.ts";
import { mapAddressFromText } from "../../bpf/address.ts";
import { CART, WEST_WEB } from "./policy-node.ts";

export function flowRecord(
  parts: Partial<Omit<FlowRecord, "source" | "destination">> & {
    readonly source?: string;
    readonly destination?: string;
  } = {},
): FlowRecord {
  const { source = "10.2.1.9", destination = "10.1.1.12", ...rest } = parts;
  return {
    timeNs: 1_000_000n,
    packets: 1n,
    bytes: 60n,
    replyPackets: 0n,
    replyBytes: 0n,
    source: mapAddressFromText(source),
    destination: mapAddressFromText(destination),
    sourceIdentity: WEST_WEB,
    destinationIdentity: CART,
    ifindex: 12,
    rule: 0,
    sourcePort: 40_000,
    destinationPort: 8_080,
    kind: FlowKind.new,
    verdict: FlowVerdict.forwarded,
    dropReason: 0,
    direction: TrafficDirection.ingress,
    isReply: 0,
    protocol: 6,
    tcpFlags: 2,
    icmpType: 0,
    icmpCode: 0,
    ...rest,
  };
}

// How a node's flow records read on a terminal: one line each.
import type { AgentFlow, FlowEnd, Observed } from "../api/policy-messages.ts";
import { reservedIdentityName } from "../core/identity.ts";
import { styled, type Output } from "../terminal.ts";
import { formatHostPort } from "./bpf-node.ts";
import { formatRuleName } from "./show-endpoint.ts";

/** A line for people, or one JSON object for machines. What was lost has a line, too. */
export function formatObserved(
  { flow, lost }: Observed,
  { format, output }: { readonly format: "table" | "json"; readonly output: Output },
): string {
  const parts = [
    ...(lost > 0 ? [format === "json" ? JSON.stringify({ lost }) : formatLost(lost, output)] : []),
    ...(flow === null ? [] : [format === "json" ? JSON.stringify(flow) : formatFlow(flow, output)]),
  ];
  return parts.map((part) => `${part}\n`).join("");
}

function formatLost(lost: number, output: Output): string {
  return `${styled(output, "yellow", "!")} ${lost} records were lost: they came faster than read`;
}

/** `10:00:00.250  dropped    ingress  TCP     shop/web-1@west … → shop/cart-1@east …  why`. */
export function formatFlow(flow: AgentFlow, output: Output): string {
  const { timeMs, verdict, direction, protocol, source, destination } = flow;
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const shown = styled(output, verdict === "dropped" ? "red" : "green", verdict.padEnd(9));
  const ends = `${formatEnd(source, protocol)} → ${formatEnd(destination, protocol)}`;
  const words = [time, shown, direction.padEnd(7), protocol.padEnd(6), ends, ...detailsOf(flow)];
  return words.join("  ");
}

function detailsOf(flow: AgentFlow): string[] {
  const { reason, state, rule, packets, bytes, replyPackets, replyBytes } = flow;
  const name = formatRuleName(rule);
  const sent = `${packets} packets ${bytes} B`;
  const replies = replyPackets === 0 ? "" : `, back ${replyPackets} packets ${replyBytes} B`;
  return [
    ...(reason === "" ? [] : [reason]),
    ...(state === "" ? [] : [state]),
    ...(name === "-" ? [] : [name]),
    ...(packets === 0 && replyPackets === 0 ? [] : [`(${sent}${replies})`]),
  ];
}

/** `shop/web-1@west 10.2.1.9:40000`, `world 203.0.113.9:443`, `identity 70000 10.3.0.1:80`. */
function formatEnd(end: FlowEnd | null, protocol: string): string {
  if (end === null) return "?";
  const { address, port, identity, cluster, namespace, pod } = end;
  const where = cluster === "" ? "" : `@${cluster}`;
  const who =
    pod === ""
      ? (reservedIdentityName(identity) ?? `identity ${identity}${where}`)
      : `${namespace}/${pod}${where}`;
  return `${who} ${protocol.startsWith("ICMP") ? address : formatHostPort(address, port)}`;
}

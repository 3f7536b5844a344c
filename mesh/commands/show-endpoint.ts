// How pods and the policy in force at them read on a terminal.
import type { AgentEndpoint, AgentPolicyEntry, RuleName } from "../api/policy-messages.ts";
import { reservedIdentityName } from "../core/identity.ts";
import { formatTable, styled, type Column, type Output } from "../terminal.ts";

export function formatEndpointList(endpoints: readonly AgentEndpoint[], output: Output): string {
  if (endpoints.length === 0) return "no pods on this node\n";
  return (
    formatTable(COLUMNS, endpoints) + endpoints.map((one) => formatProblem(one, output)).join("")
  );
}

const COLUMNS: readonly Column<AgentEndpoint>[] = [
  { header: "POD", text: endpointName },
  { header: "IDENTITY", align: "right", text: ({ identity }) => formatKnown(identity) },
  { header: "ADDRESSES", text: ({ addresses }) => addresses.join(" ") },
  { header: "INGRESS", text: ({ ingressDefaultDeny }) => formatDefault(ingressDefaultDeny) },
  { header: "EGRESS", text: ({ egressDefaultDeny }) => formatDefault(egressDefaultDeny) },
  { header: "ENTRIES", align: "right", text: ({ entryCount }) => String(entryCount) },
  { header: "POLICY", text: formatForce },
];

export function endpointName({ namespace, name }: AgentEndpoint): string {
  return `${namespace}/${name}`;
}

function formatKnown(number: number): string {
  return number === 0 ? "-" : String(number);
}

function formatDefault(isClosed: boolean): string {
  return isClosed ? "closed" : "open";
}

function formatForce({ inForce, revision, problem }: AgentEndpoint): string {
  if (problem !== "") return "problem";
  return inForce ? `in force, revision ${revision}` : "not in force yet";
}

function formatProblem(endpoint: AgentEndpoint, output: Output): string {
  if (endpoint.problem === "") return "";
  return `${styled(output, "red", "!")} ${endpointName(endpoint)}: ${endpoint.problem}\n`;
}

export function formatEndpoint(endpoint: AgentEndpoint, output: Output): string {
  const { identity, labels, addresses, interfaceIndex, costs, entries } = endpoint;
  const { entryCount, entryLimit } = endpoint;
  const room = `${entryCount} of ${entryLimit} entries`;
  const closed = `ingress ${formatDefault(endpoint.ingressDefaultDeny)}, egress ${formatDefault(
    endpoint.egressDefaultDeny,
  )} by default`;
  return [
    `${styled(output, "bold", endpointName(endpoint))}: identity ${formatKnown(identity)}\n`,
    `labels: ${labels.length === 0 ? "not known" : labels.join(" ")}\n`,
    `addresses: ${addresses.length === 0 ? "none" : addresses.join(" ")}`,
    interfaceIndex === 0 ? "\n" : ` on interface ${interfaceIndex}\n`,
    `policy: ${formatForce(endpoint)}; ${closed}; ${room}\n`,
    formatProblem(endpoint, output),
    costs.length === 0 ? "" : `\n${formatTable(COST_COLUMNS, costs)}`,
    entries.length === 0 ? "" : `\n${formatTable(ENTRY_COLUMNS, entries)}`,
  ].join("");
}

const COST_COLUMNS: readonly Column<AgentEndpoint["costs"][number]>[] = [
  { header: "POLICY", text: ({ policy }) => policy },
  { header: "ENTRIES", align: "right", text: ({ entries }) => String(entries) },
];

export const ENTRY_COLUMNS: readonly Column<AgentPolicyEntry>[] = [
  { header: "DIRECTION", text: ({ direction }) => direction },
  { header: "VERDICT", text: ({ verdict }) => verdict },
  { header: "IDENTITY", text: ({ identity, cidr }) => formatPlane(identity, cidr) },
  { header: "PROTOCOL", text: ({ protocol }) => (protocol === "ANY" ? "any" : protocol) },
  { header: "PORTS", text: formatPorts },
  { header: "RULE", text: ({ rule }) => formatRuleName(rule) },
];

/** Planes that stand for many (DESIGN.md, "Policy"); their numbers are in no packet. */
const AGGREGATE_NAMES: Readonly<Record<number, string>> = {
  0: "anybody",
  11: "pods of this cluster",
  12: "pods of other clusters",
  13: "the world",
};

/** `65537`, `0 (anybody)`, `1 (host)`, `16777216 (198.51.100.0/24)`. */
export function formatPlane(identity: number, cidr: string): string {
  const name = cidr === "" ? (AGGREGATE_NAMES[identity] ?? reservedIdentityName(identity)) : cidr;
  return name === undefined ? String(identity) : `${identity} (${name})`;
}

function formatPorts({ protocol, firstPort, lastPort }: AgentPolicyEntry): string {
  if (protocol === "ANY" || (firstPort === 0 && lastPort === 65_535)) return "any";
  const what = protocol.startsWith("ICMP") ? "type " : "";
  return `${what}${firstPort === lastPort ? firstPort : `${firstPort}-${lastPort}`}`;
}

/** `NetworkPolicy/shop/web spec.ingress[0]`, or `-`. */
export function formatRuleName(rule: RuleName | null): string {
  return rule === null || rule.policy === "" ? "-" : `${rule.policy} ${rule.path}`.trimEnd();
}

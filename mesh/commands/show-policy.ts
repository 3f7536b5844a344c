// How policies read on a terminal: all of them a line each, one with its rules, and what they come
// to at one pod.
import type {
  AgentEndpoint,
  AgentPolicy,
  AgentPolicyRule,
  AgentTrafficRule,
} from "../api/policy-messages.ts";
import { formatTable, styled, type Column, type Output } from "../terminal.ts";

/** `NetworkPolicy/shop/web`, `CiliumClusterwideNetworkPolicy/base`. */
export function policyName({ kind, namespace, name }: AgentPolicy): string {
  return [kind, ...(namespace === "" ? [] : [namespace]), name].join("/");
}

/** The whole key, or without its kind where that leaves no doubt. */
export function isCalled(policy: AgentPolicy, name: string): boolean {
  const whole = policyName(policy);
  return whole === name || whole.slice(whole.indexOf("/") + 1) === name;
}

export function formatPolicyList(policies: readonly AgentPolicy[], output: Output): string {
  if (policies.length === 0) return "no policies: every pod may speak with everybody\n";
  return (
    formatTable(COLUMNS, policies) + policies.map((one) => formatRefusals(one, output)).join("")
  );
}

const COLUMNS: readonly Column<AgentPolicy>[] = [
  { header: "POLICY", text: policyName },
  { header: "RULES", align: "right", text: ({ rules }) => String(countTraffic(rules)) },
  { header: "CLOSES", text: ({ rules }) => formatClosed(rules) },
  { header: "PODS HERE", align: "right", text: ({ endpoints }) => String(endpoints.length) },
  { header: "ENTRIES", align: "right", text: ({ entries }) => String(entries) },
  { header: "STATE", text: formatState },
];

function countTraffic(rules: readonly AgentPolicyRule[]): number {
  return rules.reduce((sum, { traffic }) => sum + traffic.length, 0);
}

/** The directions in which its pods drop what no rule allows. */
function formatClosed(rules: readonly AgentPolicyRule[]): string {
  const closed = [
    ...(rules.some(({ ingressDefaultDeny }) => ingressDefaultDeny) ? ["ingress"] : []),
    ...(rules.some(({ egressDefaultDeny }) => egressDefaultDeny) ? ["egress"] : []),
  ];
  return closed.length === 0 ? "-" : closed.join(", ");
}

function formatState({ refusals, endpoints, inForce }: AgentPolicy): string {
  const force = endpoints.length === 0 ? "no pods here" : inForce ? "in force" : "not in force yet";
  return refusals.length === 0 ? force : `${force}, ${refusals.length} refused`;
}

function formatRefusals(policy: AgentPolicy, output: Output): string {
  return policy.refusals
    .map(({ path, message }) => {
      const mark = styled(output, "yellow", "!");
      return `${mark} ${policyName(policy)} ${path}: ${message}\n`;
    })
    .join("");
}

export function formatPolicy(policy: AgentPolicy, output: Output): string {
  const pods = policy.endpoints.length === 0 ? "none" : policy.endpoints.join(", ");
  return [
    `${styled(output, "bold", policyName(policy))}: ${formatState(policy)}\n`,
    `pods of this node: ${pods}; map entries: ${policy.entries}\n`,
    ...policy.rules.map((rule) => formatRule(rule)),
    policy.refusals.length === 0 ? "" : "\n",
    formatRefusals(policy, output),
  ].join("");
}

function formatRule(rule: AgentPolicyRule): string {
  const { path, subject, ingressDefaultDeny, egressDefaultDeny, traffic } = rule;
  const closed = [
    ...(ingressDefaultDeny ? ["what comes in"] : []),
    ...(egressDefaultDeny ? ["what goes out"] : []),
  ];
  const closes = closed.length === 0 ? "" : `; drops ${closed.join(" and ")} unless it is allowed`;
  const head = `\n${path}: pods with ${subject === "" ? "any labels" : subject}${closes}\n`;
  return traffic.length === 0 ? head : head + formatTable(TRAFFIC_COLUMNS, traffic);
}

const TRAFFIC_COLUMNS: readonly Column<AgentTrafficRule>[] = [
  { header: "RULE", text: ({ path }) => path },
  { header: "DIRECTION", text: ({ direction }) => direction },
  { header: "VERDICT", text: ({ verdict }) => verdict },
  { header: "PEERS", text: formatPeers },
  { header: "PORTS", text: formatPorts },
];

/** Who they are, and how many identities that is now. */
function formatPeers({ anyPeer, peers }: AgentTrafficRule): string {
  if (anyPeer) return "anybody";
  if (peers.length === 0) return "nobody";
  return peers.map(({ text, identities }) => `${text} (${identities})`).join("; ");
}

function formatPorts({ anyPort, ports }: AgentTrafficRule): string {
  if (anyPort) return "any";
  return ports.length === 0 ? "none" : ports.join(", ");
}

/** What holds at a pod, and which policies make it so. */
export function formatExplanation(
  endpoint: AgentEndpoint,
  policies: readonly AgentPolicy[],
  output: Output,
): string {
  const name = `${endpoint.namespace}/${endpoint.name}`;
  const directions = ["ingress", "egress"] as const;
  return [
    `${styled(output, "bold", name)}: identity ${endpoint.identity}, ${endpoint.labels.join(" ")}\n`,
    endpoint.problem === "" ? "" : `${styled(output, "red", "!")} ${endpoint.problem}\n`,
    ...directions.map((direction) => formatDirection(direction, { endpoint, policies })),
    ...policies.map((policy) => formatRefusals(policy, output)),
  ].join("");
}

function formatDirection(
  direction: "ingress" | "egress",
  { endpoint, policies }: { endpoint: AgentEndpoint; policies: readonly AgentPolicy[] },
): string {
  const closed = direction === "ingress" ? endpoint.ingressDefaultDeny : endpoint.egressDefaultDeny;
  const closes = policies.filter(({ rules }) =>
    rules.some((rule) =>
      direction === "ingress" ? rule.ingressDefaultDeny : rule.egressDefaultDeny,
    ),
  );
  const because = closes.length === 0 ? "" : `, because of ${closes.map(policyName).join(", ")}`;
  const head = closed
    ? `\n${direction}: only what is allowed${because}\n`
    : `\n${direction}: everything that is not denied\n`;
  const rows = policies.flatMap((policy) =>
    policy.rules.flatMap(({ traffic }) =>
      traffic
        .filter((rule) => rule.direction === direction)
        .map((rule) => ({ ...rule, path: `${policyName(policy)} ${rule.path}` })),
    ),
  );
  if (rows.length === 0) return head;
  return (
    head +
    formatTable(
      TRAFFIC_COLUMNS.filter(({ header }) => header !== "DIRECTION"),
      rows,
    )
  );
}

// How security identities read on a terminal.
import type { AgentIdentity } from "../api/policy-messages.ts";
import { formatTable, type Column } from "../terminal.ts";
import { formatRuleName } from "./show-endpoint.ts";

export function formatIdentityList(identities: readonly AgentIdentity[]): string {
  return formatTable(COLUMNS, identities);
}

const COLUMNS: readonly Column<AgentIdentity>[] = [
  { header: "IDENTITY", align: "right", text: ({ number }) => String(number) },
  { header: "CLUSTER", text: ({ cluster }) => (cluster === "" ? "-" : cluster) },
  { header: "ADDRESSES", align: "right", text: ({ addresses }) => String(addresses) },
  { header: "LABELS", text: ({ labels }) => labels.join(" ") },
];

export function formatIdentity(identity: AgentIdentity): string {
  const { number, cluster, labels, addresses, rules } = identity;
  const where = cluster === "" ? "" : ` of cluster ${cluster}`;
  const meant = rules.map((rule) => `  ${formatRuleName(rule)}\n`).join("");
  return [
    `${number}${where}: ${addresses} addresses on this node's map\n`,
    ...labels.map((label) => `  ${label}\n`),
    rules.length === 0 ? "no rule of this node names it among its peers\n" : "named by the rules\n",
    meant,
  ].join("");
}

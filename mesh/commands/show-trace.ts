// How a traced packet reads on a terminal: what each end says of it, by which rule, and what the
// pod's own map in the kernel says beside it.
import type { AgentTrace, TracedRule, TraceVerdict } from "../api/policy-messages.ts";
import { formatTable, styled, type Column, type Output } from "../terminal.ts";
import { formatPlane, formatRuleName } from "./show-endpoint.ts";

/** One end of the packet. */
export interface TracedEnd {
  readonly direction: "egress" | "ingress";
  /** `shop/cart-1@east` or an address. */
  readonly end: string;
  /** Undefined where no policy can be, or none that we can see; `why` says which. */
  readonly trace: AgentTrace | undefined;
  readonly why: string;
}

/** Whether every end that can be asked lets it through, and none contradicts itself. */
export function isAllowed(ends: readonly TracedEnd[]): boolean {
  const traces = ends.flatMap(({ trace }) => trace ?? []);
  return (
    traces.length > 0 &&
    traces.every((trace) => trace.policy?.verdict === "allow" && !differs(trace))
  );
}

/** Whether the kernel's map says something else than the policies; false where it cannot be read. */
export function differs({ policy, datapath }: AgentTrace): boolean {
  const [wanted = "", held = ""] = [policy?.verdict, datapath?.verdict];
  return held !== "" && held !== wanted;
}

export function formatTrace(
  { packet, ends }: { readonly packet: string; readonly ends: readonly TracedEnd[] },
  output: Output,
): string {
  const known = ends.flatMap(({ trace }) => trace ?? []);
  const denied = known.some(({ policy }) => policy?.verdict !== "allow");
  const verdict = denied
    ? styled(output, "red", "denied")
    : known.length === 0
      ? styled(output, "yellow", "not known")
      : styled(output, "green", "allowed");
  const unseen = ends.some(({ trace, why }) => trace === undefined && why.startsWith("not"));
  const remark = unseen && !denied ? ", as far as can be seen here" : "";
  return `${packet}: ${verdict}${remark}\n${ends.map((end) => formatEnd(end, output)).join("")}`;
}

function formatEnd({ direction, end, trace, why }: TracedEnd, output: Output): string {
  const head = `\n${styled(output, "bold", `${direction} at ${end}`)}`;
  if (trace === undefined) return `${head}: ${why}\n`;
  const { node, identity, peerIdentity, peerAddress, peerAggregate, peerLabels } = trace;
  const other = [
    `identity ${formatPlane(peerIdentity, "")}`,
    ...(peerAddress === "" ? [] : [`address ${peerAddress}`]),
    ...(peerAggregate === 0 ? [] : [`aggregate ${formatPlane(peerAggregate, "")}`]),
  ].join(", ");
  const closed = trace.defaultDeny ? "drops what no rule allows" : "lets pass what no rule denies";
  return [
    `${head}, node ${node}, identity ${identity}: ${closed}\n`,
    `  other end  ${other}\n`,
    peerLabels.length === 0 ? "" : `             ${peerLabels.join(" ")}\n`,
    `  policies   ${formatVerdict(trace.policy, output)}\n`,
    `  datapath   ${formatVerdict(trace.datapath, output)}\n`,
    differs(trace)
      ? `${styled(output, "red", "!")} the kernel's map differs from the policies\n`
      : "",
    trace.rules.length === 0 ? "" : formatTable(RULE_COLUMNS, trace.rules),
  ].join("");
}

function formatVerdict(verdict: TraceVerdict | null, output: Output): string {
  if (verdict === null || verdict.verdict === "") return verdict?.why || "not known";
  const colour = verdict.verdict === "allow" ? "green" : "red";
  const rule = formatRuleName(verdict.rule);
  const why = verdict.why === "" ? "" : `: ${verdict.why}`;
  return `${styled(output, colour, verdict.verdict)}${why}${rule === "-" ? "" : `, ${rule}`}`;
}

const RULE_COLUMNS: readonly Column<TracedRule>[] = [
  { header: "", text: ({ decides }) => (decides ? "*" : "") },
  { header: "VERDICT", text: ({ verdict }) => verdict },
  { header: "RULE", text: ({ rule }) => formatRuleName(rule) },
  { header: "PEER", text: ({ peer }) => (peer === "" ? "anybody" : peer) },
  { header: "PORT", text: ({ port }) => (port === "" ? "any" : port) },
];

// Which flows somebody wants to see. Pure.
import { MeshError } from "../../mesh/core/errors.ts";
import type { AgentFlow, FlowEnd, ObserveRequest } from "../../mesh/api/policy-messages.ts";

export type FlowFilter = (flow: AgentFlow) => boolean;

const VERDICTS = ["forwarded", "dropped"];

/**
 * All lists that are not empty must hold, each by one of its own; of those about ends either end
 * may be meant, and not the same one by each list. Throws `invalid_argument`.
 */
export function flowFilter(request: ObserveRequest): FlowFilter {
  const { clusters, namespaces, pods, labels, verdicts, protocols, ports } = request;
  for (const verdict of verdicts) {
    if (VERDICTS.includes(verdict)) continue;
    throw new MeshError(
      "invalid_argument",
      `Cannot select flows by verdict "${verdict}": want ${VERDICTS.join(" or ")}`,
    );
  }
  const checks: FlowFilter[] = [];
  const byEnd = (wanted: readonly string[], textOf: (end: FlowEnd) => string): void => {
    if (wanted.length === 0) return;
    const set = new Set(wanted);
    checks.push((flow) => someEnd(flow, (end) => set.has(textOf(end))));
  };
  byEnd(clusters, ({ cluster }) => cluster);
  byEnd(namespaces, ({ namespace }) => namespace);
  byEnd(pods, ({ namespace, pod }) => `${namespace}/${pod}`);
  if (labels.length > 0) {
    checks.push((flow) =>
      someEnd(flow, (end) => labels.some((wanted) => hasLabel(end.labels, wanted))),
    );
  }
  if (verdicts.length > 0) checks.push(({ verdict }) => verdicts.includes(verdict));
  if (protocols.length > 0) {
    const set = new Set(protocols.map((protocol) => protocol.toLowerCase()));
    checks.push(({ protocol }) => set.has(protocol.toLowerCase()));
  }
  if (ports.length > 0) checks.push(({ destination }) => ports.includes(destination?.port ?? -1));
  return (flow) => checks.every((check) => check(flow));
}

function someEnd({ source, destination }: AgentFlow, check: (end: FlowEnd) => boolean): boolean {
  return (source !== null && check(source)) || (destination !== null && check(destination));
}

/** `k8s:app=cart`, of any source without one (`app=cart`), of any value without one (`app`). */
function hasLabel(labels: readonly string[], wanted: string): boolean {
  const [key = ""] = wanted.split("=", 1);
  const anySource = !key.includes(":");
  const anyValue = key.length === wanted.length;
  return labels.some((label) => {
    const text = anySource ? label.slice(label.indexOf(":") + 1) : label;
    return text === wanted || (anyValue && text.startsWith(`${wanted}=`));
  });
}

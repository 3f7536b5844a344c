// cilium.io/v2 CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy → a policy, layers 3 and 4.
// Pure. A section with rules closes its direction by default; a rule that says neither who nor
// which port matches nobody; an empty list of peers is nobody, a missing one everybody.
import type { PolicyDirection, TrafficRule } from "../../../mesh/core/policy.ts";
import {
  createSelector,
  selectorMatches,
  type LabelSelector,
  type Requirement,
} from "../../../mesh/core/selector.ts";
import { NAMESPACE_LABEL } from "../../../mesh/kvstore/records/identity-labels.ts";
import type { Warn } from "../convert.ts";
import type { Fields } from "../fields.ts";
import { metadata, namespaceName, objectName } from "../metadata.ts";
import { PEER_FIELDS, peersFromRule } from "./cilium-peers.ts";
import { portsFromRule } from "./cilium-ports.ts";
import type { PolicyObject, RuleObject, TrafficObject } from "./policy-object.ts";
import { ciliumLabelKey, isPositive, readSelector } from "./read-selector.ts";
import { Refusals, unknownFields } from "./refusals.ts";

export function ciliumPolicyFromFields(
  fields: Fields,
  warn: Warn,
): PolicyObject<"CiliumNetworkPolicy"> {
  const namespace = namespaceName(metadata(fields));
  return { kind: "CiliumNetworkPolicy", ...policyFromFields(fields, { namespace, warn }) };
}

export function ciliumClusterwidePolicyFromFields(
  fields: Fields,
  warn: Warn,
): PolicyObject<"CiliumClusterwideNetworkPolicy"> {
  const policy = policyFromFields(fields, { namespace: "", warn });
  return { kind: "CiliumClusterwideNetworkPolicy", ...policy };
}

interface Context {
  /** "" for a policy of the whole cluster. */
  readonly namespace: string;
  readonly refusals: Refusals;
}

const SECTIONS = [
  { name: "ingress", direction: "ingress", verdict: "allow" },
  { name: "ingressDeny", direction: "ingress", verdict: "deny" },
  { name: "egress", direction: "egress", verdict: "allow" },
  { name: "egressDeny", direction: "egress", verdict: "deny" },
] as const;
type Section = (typeof SECTIONS)[number];

const WIDENED = "the rule closes pods with and without it, and allows nothing";
const SPEC_FIELDS: readonly string[] = [
  "endpointSelector",
  "nodeSelector",
  "enableDefaultDeny",
  ...SECTIONS.map(({ name }) => name),
  // These say nothing of who may speak with whom.
  "description",
  "labels",
  "log",
];

function policyFromFields(
  fields: Fields,
  { namespace, warn }: { readonly namespace: string; readonly warn: Warn },
): Omit<PolicyObject, "kind"> {
  const refusals = new Refusals(warn);
  const specs = specsOf(fields);
  if (specs.length === 0) {
    refusals.add(fields, { name: "spec", reason: "it is missing; the policy has no effect" });
  }
  const rules = specs.flatMap((spec) => ruleFromSpec(spec, { namespace, refusals }) ?? []);
  return { namespace, name: objectName(metadata(fields)), rules, refusals: refusals.list() };
}

/** Whom a policy is about of which not everything can be read; throws if not even that can. */
export function ciliumSubjects(fields: Fields, namespace: string): LabelSelector[] {
  const context = { namespace, refusals: new Refusals(() => {}) };
  return specsOf(fields).flatMap((spec) => {
    const subject = subjectOf(spec, context);
    return subject === undefined ? [] : [subject.selector];
  });
}

function specsOf(fields: Fields): Fields[] {
  const single = fields.map("spec");
  return [...(single === undefined ? [] : [single]), ...fields.maps("specs")];
}

/** Undefined for one that is about no pod. */
function ruleFromSpec(spec: Fields, context: Context): RuleObject | undefined {
  const { refusals } = context;
  const subject = subjectOf(spec, context);
  if (subject === undefined) return undefined;
  const told = spec.map("enableDefaultDeny");
  const unknown = [
    ...unknownFields(spec, SPEC_FIELDS),
    ...(told === undefined ? [] : unknownFields(told, ["ingress", "egress"])).map(
      (name) => `enableDefaultDeny.${name}`,
    ),
  ];
  for (const name of unknown) {
    const reason = "it is unknown; the rule allows nothing and closes both directions";
    refusals.add(spec, { name, reason });
  }
  const mayAllow = unknown.length === 0 && subject.isWhole;
  const sections = SECTIONS.map((section) => {
    const before = refusals.count;
    const traffic = spec
      .maps(section.name)
      .flatMap((rule) => trafficFromRule(rule, { section, context }));
    const isWhole = refusals.count === before;
    return { ...section, isWhole, traffic: section.verdict === "deny" || mayAllow ? traffic : [] };
  });
  const traffic = (direction: PolicyDirection): TrafficObject[] =>
    sections.filter((section) => section.direction === direction).flatMap((each) => each.traffic);
  const isClosed = (direction: PolicyDirection): boolean => {
    const isWhole =
      subject.isWhole && sections.every((each) => each.direction !== direction || each.isWhole);
    return unknown.length > 0 || closedByDefault(spec, { direction, isWhole, refusals });
  };
  if (SECTIONS.every(({ name }) => spec.length(name) === 0)) {
    const reason = "no section has a rule; it has no effect unless enableDefaultDeny says so";
    refusals.add(spec, { name: "", reason });
  }
  return {
    path: spec.path,
    subject: subject.selector,
    defaultDeny: { ingress: isClosed("ingress"), egress: isClosed("egress") },
    ingress: traffic("ingress"),
    egress: traffic("egress"),
  };
}

/** A direction that is said to stay open is closed all the same if not all of it is honoured. */
function closedByDefault(
  spec: Fields,
  {
    direction,
    isWhole,
    refusals,
  }: {
    readonly direction: PolicyDirection;
    readonly isWhole: boolean;
    readonly refusals: Refusals;
  },
): boolean {
  const told = spec.map("enableDefaultDeny");
  const isTold = told?.boolean(direction);
  const hasRules = SECTIONS.some(
    (section) => section.direction === direction && spec.length(section.name) > 0,
  );
  if (isTold === undefined) return hasRules;
  if (isTold || isWhole || told === undefined) return isTold;
  const reason = "not all of its rules can be honoured; the direction is closed by default";
  refusals.add(told, { name: direction, reason });
  return true;
}

interface Subject {
  readonly selector: LabelSelector;
  /** False: it means more pods than the selector that was written, which may be closed only. */
  readonly isWhole: boolean;
}

/** A subject is never narrowed. Undefined: the rule is about something that is no pod. */
function subjectOf(spec: Fields, { namespace, refusals }: Context): Subject | undefined {
  const fields = spec.map("endpointSelector");
  if (spec.has("nodeSelector")) {
    if (fields !== undefined) throw spec.error("nodeSelector", "want it without endpointSelector");
    const reason = "policies for nodes are not enforced; the rule has no effect";
    refusals.add(spec, { name: "nodeSelector", reason });
    return undefined;
  }
  if (fields === undefined) throw spec.error("endpointSelector", "it is missing");
  const { requirements, reserved, faults } = readSelector(fields, ciliumLabelKey);
  const reservedName = reserved.find(isPositive)?.key;
  if (reservedName !== undefined) {
    const reason = `no pod is "reserved:${reservedName}"; the rule has no effect`;
    refusals.add(fields, { name: "", reason });
    return undefined;
  }
  for (const { name, reason } of faults) {
    refusals.add(fields, { name, reason: `${reason}; ${WIDENED}` });
  }
  const all =
    namespace === "" ? requirements : ownNamespace(fields, { requirements, namespace, refusals });
  return { selector: createSelector(all), isWhole: faults.length === 0 };
}

/** A policy of a namespace is about its pods, whatever its selector says of namespaces. */
function ownNamespace(
  fields: Fields,
  found: {
    readonly requirements: readonly Requirement[];
    readonly namespace: string;
    readonly refusals: Refusals;
  },
): Requirement[] {
  const { requirements, namespace, refusals } = found;
  const own = new Map([[NAMESPACE_LABEL, namespace]]);
  const others = requirements.filter((requirement) => !isAboutNamespace(requirement));
  const named = requirements.filter(isAboutNamespace);
  if (!selectorMatches(named, own)) {
    const reason = `the policy stands in "${namespace}" and applies to its pods, and no others`;
    refusals.add(fields, { name: "", reason });
  }
  return [...others, { key: NAMESPACE_LABEL, operator: "In", values: [namespace] }];
}

function isAboutNamespace({ key }: Requirement): boolean {
  return key.slice(key.indexOf(":")) === NAMESPACE_LABEL.slice(NAMESPACE_LABEL.indexOf(":"));
}

function trafficFromRule(
  fields: Fields,
  { section, context }: { readonly section: Section; readonly context: Context },
): TrafficObject[] {
  const { direction, verdict } = section;
  const { known, refused, requires } = PEER_FIELDS[direction];
  const { path } = fields;
  const ruleFields = [...known, ...refused.keys(), requires, "toPorts", "icmps", "authentication"];
  const asWhole = [
    ...unknownFields(fields, ruleFields).map((name) => ({ name, what: "it is unknown" })),
    ...authenticationProblem(fields),
  ];
  const effect = verdict === "allow" ? "the rule allows nothing" : "the rule denies everything";
  for (const { name, what } of asWhole) {
    context.refusals.add(fields, { name, reason: `${what}; ${effect}` });
  }
  const required = requirementsOf(fields, { requires, refusals: context.refusals });
  if (asWhole.length > 0) return [...required, failedRule(path, verdict)];
  const peers = peersFromRule(fields, { ...context, direction, verdict });
  const ports = portsFromRule(fields, { verdict, refusals: context.refusals });
  const saysNothing =
    peers === undefined && fields.length("toPorts") + fields.length("icmps") === 0;
  return [...required, { path, verdict, peers: saysNothing ? [] : peers, ports }];
}

function failedRule(path: string, verdict: TrafficRule["verdict"]): TrafficObject {
  return { path, verdict, peers: verdict === "allow" ? [] : undefined, ports: undefined };
}

/** They would bind every other rule of the subject, so all of it is denied. */
function requirementsOf(
  fields: Fields,
  { requires, refusals }: { readonly requires: string; readonly refusals: Refusals },
): TrafficObject[] {
  if (fields.length(requires) === 0) return [];
  const reason = "requirements on other rules are not supported; everybody is denied";
  refusals.add(fields, { name: requires, reason });
  return [failedRule(`${fields.path}.${requires}`, "deny")];
}

function authenticationProblem(fields: Fields): { name: string; what: string }[] {
  const mode = fields.map("authentication")?.optionalText("mode") ?? "disabled";
  if (mode === "disabled") return [];
  return [{ name: "authentication", what: "peers cannot be made to authenticate" }];
}

// networking.k8s.io/v1 NetworkPolicy → a policy. Pure. Its empty lists mean everything: no peers is
// everybody, no ports is every port; only an empty list of rules allows nothing.
import type { PortMatch } from "../../../mesh/core/policy.ts";
import {
  createSelector,
  type LabelSelector,
  type Requirement,
} from "../../../mesh/core/selector.ts";
import { NAMESPACE_LABEL } from "../../../mesh/kvstore/records/identity-labels.ts";
import type { Warn } from "../convert.ts";
import type { Fields } from "../fields.ts";
import { metadata, namespaceName, objectName } from "../metadata.ts";
import type { PeerObject, PolicyObject, TrafficObject } from "./policy-object.ts";
import { cidrPeer } from "./read-cidr.ts";
import { namespaceLabelKey, podLabelKey, readSelector } from "./read-selector.ts";
import { Refusals, unknownFields } from "./refusals.ts";

interface Context {
  readonly namespace: string;
  readonly refusals: Refusals;
}

const PORTS = { min: 1, max: 65_535 };
const ALL_PORTS = { first: 0, last: 65_535 };
/** An IANA service name: what Kubernetes lets container ports be called. */
const PORT_NAME = /^[a-z0-9-]{1,15}$/;
const ALLOWS_NOTHING = "this rule allows nothing";

export function networkPolicyFromFields(fields: Fields, warn: Warn): PolicyObject<"NetworkPolicy"> {
  const meta = metadata(fields);
  const refusals = new Refusals(warn);
  const context = { namespace: namespaceName(meta), refusals };
  const spec = fields.map("spec");
  const types = policyTypes(spec);
  if (spec !== undefined) {
    const known = ["podSelector", "policyTypes", "ingress", "egress"];
    for (const name of unknownFields(spec, known)) {
      refusals.add(spec, { name, reason: "it is unknown; the policy allows nothing" });
    }
  }
  const subject = subjectOf(spec?.map("podSelector"), context);
  // What is unknown beside the rules may narrow any of them, and pods that were not meant may be
  // closed by mistake, but not opened.
  const mayAllow = refusals.count === 0;
  const rulesOf = (direction: "ingress" | "egress", peers: string): TrafficObject[] => {
    const rules = spec?.maps(direction) ?? [];
    if (!types.has(direction)) {
      if (rules.length > 0) warn(spec?.offsetOf(direction) ?? 0, unusedRules(direction));
      return [];
    }
    return mayAllow ? rules.map((rule) => trafficFromRule(rule, { peers, context })) : [];
  };
  return {
    kind: "NetworkPolicy",
    namespace: context.namespace,
    name: objectName(meta),
    rules: [
      {
        path: "spec",
        subject,
        defaultDeny: { ingress: types.has("ingress"), egress: types.has("egress") },
        ingress: rulesOf("ingress", "from"),
        egress: rulesOf("egress", "to"),
      },
    ],
    refusals: refusals.list(),
  };
}

/** Whom a policy is about of which not everything can be read; throws if not even that can. */
export function networkPolicySubject(fields: Fields, namespace: string): LabelSelector {
  const context = { namespace, refusals: new Refusals(() => {}) };
  return subjectOf(fields.map("spec")?.map("podSelector"), context);
}

function unusedRules(direction: string): string {
  return `Cannot use spec.${direction}: spec.policyTypes does not name this direction`;
}

/** Ingress always, and Egress if there are rules for it, unless the policy says which. */
function policyTypes(spec: Fields | undefined): ReadonlySet<string> {
  const types = spec?.texts("policyTypes", (text) => {
    if (text === "Ingress" || text === "Egress") return text.toLowerCase();
    throw new Error('want "Ingress" or "Egress"');
  });
  if (types !== undefined && types.length > 0) return new Set(types);
  return new Set(spec?.maps("egress").length ? ["ingress", "egress"] : ["ingress"]);
}

/** A subject is never narrowed: what it asks for and cannot be seen is left out. */
function subjectOf(fields: Fields | undefined, { namespace, refusals }: Context): LabelSelector {
  const { requirements, faults } = readSelector(fields, podLabelKey);
  for (const { name, reason } of faults) {
    if (fields !== undefined) {
      const effect = "the policy closes pods with and without it, and allows nothing";
      refusals.add(fields, { name, reason: `${reason}; ${effect}` });
    }
  }
  return createSelector([...requirements, inNamespace(namespace)]);
}

function inNamespace(namespace: string): Requirement {
  return { key: NAMESPACE_LABEL, operator: "In", values: [namespace] };
}

function trafficFromRule(
  fields: Fields,
  { peers: peersField, context }: { readonly peers: string; readonly context: Context },
): TrafficObject {
  const { path } = fields;
  const unknown = unknownFields(fields, [peersField, "ports"]);
  for (const name of unknown) {
    context.refusals.add(fields, { name, reason: `it is unknown; ${ALLOWS_NOTHING}` });
  }
  const peers = fields.maps(peersField).flatMap((peer) => peerFromFields(peer, context));
  const ports = fields.maps("ports").flatMap((port) => portFromFields(port, context));
  const everybody = fields.maps(peersField).length === 0;
  return {
    path,
    verdict: "allow",
    peers: unknown.length > 0 ? [] : everybody ? undefined : peers,
    ports: fields.maps("ports").length === 0 ? undefined : ports,
  };
}

function peerFromFields(fields: Fields, { namespace, refusals }: Context): PeerObject[] {
  const known = ["podSelector", "namespaceSelector", "ipBlock"];
  const [unknown] = unknownFields(fields, known);
  if (unknown !== undefined) {
    refusals.add(fields, { name: unknown, reason: "it is unknown; this peer is allowed nothing" });
    return [];
  }
  const ipBlock = fields.map("ipBlock");
  const [pods, namespaces] = [fields.map("podSelector"), fields.map("namespaceSelector")];
  if (ipBlock !== undefined) {
    if (pods !== undefined || namespaces !== undefined) {
      throw fields.error("ipBlock", "want it alone, without selectors beside it");
    }
    return blockFromFields(ipBlock, refusals);
  }
  if (pods === undefined && namespaces === undefined) {
    throw fields.error("", `want ${known.join(", ")}`);
  }
  const ofPods = readSelector(pods, podLabelKey);
  const ofNamespaces = readSelector(namespaces, namespaceLabelKey);
  for (const [selector, { faults }] of [
    [pods, ofPods],
    [namespaces, ofNamespaces],
  ] as const) {
    for (const { name, reason } of faults) {
      refusals.add(selector ?? fields, { name, reason: `${reason}; this peer is allowed nothing` });
    }
  }
  if (ofPods.faults.length + ofNamespaces.faults.length > 0) return [];
  const where = namespaces === undefined ? [inNamespace(namespace)] : ofNamespaces.requirements;
  return [{ kind: "pods", selector: createSelector([...ofPods.requirements, ...where]) }];
}

function blockFromFields(fields: Fields, refusals: Refusals): PeerObject[] {
  const [unknown] = unknownFields(fields, ["cidr", "except"]);
  if (unknown === undefined) return [cidrPeer(fields)];
  refusals.add(fields, { name: unknown, reason: "it is unknown; this block is allowed nothing" });
  return [];
}

function portFromFields(fields: Fields, { refusals }: Context): PortMatch[] {
  const [unknown] = unknownFields(fields, ["protocol", "port", "endPort"]);
  if (unknown !== undefined) {
    refusals.add(fields, { name: unknown, reason: "it is unknown; this port is not allowed" });
    return [];
  }
  const protocol = fields.optionalText("protocol") ?? "TCP";
  if (protocol !== "TCP" && protocol !== "UDP" && protocol !== "SCTP") {
    throw fields.error("protocol", 'want "TCP", "UDP" or "SCTP"');
  }
  const port = fields.integerOrText("port", PORTS);
  const last = fields.integer("endPort", PORTS);
  if (typeof port === "number") {
    if (last !== undefined && last < port) throw fields.error("endPort", `want ${port} or more`);
    return [{ protocol, first: port, last: last ?? port }];
  }
  if (last !== undefined) throw fields.error("endPort", "want a number as port beside it");
  if (port === undefined) return [{ protocol, ...ALL_PORTS }];
  if (!PORT_NAME.test(port)) throw fields.error("port", "want a number or the name of a port");
  return [{ protocol, name: port }];
}

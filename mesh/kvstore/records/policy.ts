// Policies as agents read them (mesh/core/policy.ts), written by their own apiserver. Whatever is
// wrong with a record, nothing opens by it.
import { isDeepStrictEqual } from "node:util";
import { parsePrefix, prefixesOverlap, type Prefix } from "../../core/address.ts";
import { messageFromError } from "../../core/errors.ts";
import {
  POLICY_ENTITIES,
  POLICY_KINDS,
  policyKey,
  type Policy,
  type PolicyDirection,
  type PolicyPeer,
  type PolicyRefusal,
  type PolicyRule,
  type PortMatch,
  type TrafficRule,
} from "../../core/policy.ts";
import { createSelector, type LabelSelector } from "../../core/selector.ts";
import { NAMESPACE_NAME, POD_NAME, PORT_NAME } from "./kubernetes-names.ts";
import {
  openRecord,
  refusal,
  textIsAllowed,
  type RecordFields,
  type RecordSubject,
  type TextRule,
} from "./record-fields.ts";

/** Ten times the services Kubernetes is tested with; who has more is refused by the apiserver. */
export const MAX_POLICIES = 100_000;
/** etcd's own default limit of a request: no larger value can have been written. */
export const POLICY_MAX_BYTES = 1_536 * 1024;
/** Within a record of that size nobody writes more by hand; programs that do are mistaken. */
export const MAX_POLICY_RULES = 1_000;
export const MAX_TRAFFIC_RULES = 10_000;
export const MAX_POLICY_PEERS = 50_000;
export const MAX_PORT_MATCHES = 10_000;
export const MAX_REQUIREMENTS = 1_000;
export const MAX_REFUSALS = 1_000;
export const MAX_REFUSAL_MESSAGE = 1_024;
export const MAX_POLICY_PATH = 512;

const MAX_REQUIREMENT_VALUES = 10_000;
const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;
const PORT_PROTOCOLS = ["TCP", "UDP", "SCTP", "ANY"] as const;
const PROTOCOLS = [...PORT_PROTOCOLS, "ICMP", "ICMPv6"] as const;
const PORT = { min: 0, max: 65_535 } as const;
/** The source, the prefix of namespaces' labels, and a key of 317. */
const SELECTOR_KEY: TextRule = {
  maxLength: 512,
  pattern: /^[-a-z0-9]+:[^:=;\s\p{C}][^=;\s\p{C}]*$/u,
  want: '"source:key"',
};
const SELECTOR_VALUE: TextRule = {
  maxLength: 512,
  want: "a label's value",
  optional: true,
};
const PATH: TextRule = {
  maxLength: MAX_POLICY_PATH,
  want: `a path of at most ${MAX_POLICY_PATH} characters`,
  optional: true,
};
const MESSAGE: TextRule = {
  maxLength: MAX_REFUSAL_MESSAGE,
  want: `one line of at most ${MAX_REFUSAL_MESSAGE} characters`,
};
const PREFIX: TextRule = { maxLength: 64, want: "a canonical prefix" };

/** The tail of the record's key. */
export function policyName(policy: Policy): string {
  return policyKey(policy);
}

/** Throws `invalid_argument` for a policy that no reader would believe. */
export function encodePolicy(policy: Policy): Buffer {
  const value = Buffer.from(JSON.stringify(policy));
  const name = policyName(policy);
  if (value.length > POLICY_MAX_BYTES) {
    const subject = { kind: "policy", name };
    throw refusal(subject, `it takes ${value.length} bytes, want at most ${POLICY_MAX_BYTES}`);
  }
  parsePolicy(name, value);
  return value;
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parsePolicy(name: string, value: Buffer): Policy {
  const subject: RecordSubject = { kind: "policy", name };
  const named = policyFromKey(subject);
  const fields = openRecord(subject, value);
  fields.exactly("kind", named.kind);
  fields.exactly("namespace", named.namespace);
  fields.exactly("name", named.name);
  return {
    ...named,
    rules: fields.objects("rules", MAX_POLICY_RULES).map(ruleFromFields),
    refusals: fields.objects("refusals", MAX_REFUSALS).map(refusalFromFields),
  };
}

/**
 * For readers that enforce. A record that cannot be read stands for its last good state, if the
 * reader knows one (this throws, and a session keeps what it has); otherwise for `closedPolicy`.
 */
export function parsePolicyOrClosed(
  name: string,
  record: { readonly value: Buffer; readonly isKnown: boolean },
): Policy {
  try {
    return parsePolicy(name, record.value);
  } catch (error) {
    if (record.isKnown) throw error;
    const named = policyFromKey({ kind: "policy", name });
    return closedPolicy(named, messageFromError(error));
  }
}

/**
 * What stands for a policy that cannot be read: it may be about any pod of its namespace (of the
 * cluster, if it has none), unless its subjects are known, and deny anything, so it does. A
 * NetworkPolicy denies nothing that another allows, so neither does what stands for it.
 */
export function closedPolicy(
  closed: Pick<Policy, "kind" | "namespace" | "name"> & {
    readonly subjects?: readonly LabelSelector[] | undefined;
  },
  reason: string,
): Policy {
  const { kind, namespace, name, subjects = [namespaceSelector(namespace)] } = closed;
  const traffic: TrafficRule[] =
    kind === "NetworkPolicy"
      ? []
      : [{ path: "", verdict: "deny", peers: undefined, ports: undefined }];
  const all = namespace === "" ? "every pod of the cluster" : `every pod of "${namespace}"`;
  const where = closed.subjects === undefined ? all : "the pods that it selects";
  const message = `${reason}; until it can be read, it closes ${where}`;
  return {
    kind,
    namespace,
    name,
    rules: subjects.map((subject) => ({
      path: "",
      subject,
      defaultDeny: { ingress: true, egress: true },
      ingress: traffic,
      egress: traffic,
    })),
    refusals: [{ path: "", message: message.slice(0, MAX_REFUSAL_MESSAGE) }],
  };
}

export function samePolicy(a: Policy, b: Policy): boolean {
  return isDeepStrictEqual(a, b);
}

function namespaceSelector(namespace: string): LabelSelector {
  if (namespace === "") return [];
  return createSelector([
    { key: "k8s:io.kubernetes.pod.namespace", operator: "In", values: [namespace] },
  ]);
}

function policyFromKey(subject: RecordSubject): Pick<Policy, "kind" | "namespace" | "name"> {
  const [first, ...rest] = subject.name.split("/");
  const kind = POLICY_KINDS.find((known) => known === first);
  const isClusterwide = kind === "CiliumClusterwideNetworkPolicy";
  const [namespace = "", name = "", ...more] = isClusterwide ? ["", ...rest] : rest;
  const isNamed =
    kind !== undefined &&
    more.length === 0 &&
    (isClusterwide || textIsAllowed(namespace, NAMESPACE_NAME)) &&
    textIsAllowed(name, POD_NAME);
  if (isNamed) return { kind, namespace, name };
  throw refusal(subject, 'want "KIND/NAMESPACE/NAME" or "KIND/NAME" of a known kind in its key');
}

function refusalFromFields(fields: RecordFields): PolicyRefusal {
  return { path: fields.text("path", PATH), message: fields.text("message", MESSAGE) };
}

function ruleFromFields(fields: RecordFields): PolicyRule {
  const defaultDeny = fields.object("defaultDeny");
  return {
    path: fields.text("path", PATH),
    subject: selectorFromFields(fields, "subject"),
    // Read as closed if it is left out: nothing opens by what is missing.
    defaultDeny: {
      ingress: defaultDeny.flag("ingress", true),
      egress: defaultDeny.flag("egress", true),
    },
    ingress: trafficFromFields(fields, "ingress"),
    egress: trafficFromFields(fields, "egress"),
  };
}

function trafficFromFields(fields: RecordFields, direction: PolicyDirection): TrafficRule[] {
  return fields.objects(direction, MAX_TRAFFIC_RULES).map((traffic) => ({
    path: traffic.text("path", PATH),
    verdict: traffic.choice("verdict", ["allow", "deny"]),
    peers: traffic.has("peers")
      ? traffic.objects("peers", MAX_POLICY_PEERS).map(peerFromFields)
      : undefined,
    ports: traffic.has("ports")
      ? traffic.objects("ports", MAX_PORT_MATCHES).map(portFromFields)
      : undefined,
  }));
}

function peerFromFields(fields: RecordFields): PolicyPeer {
  const kind = fields.choice("kind", ["pods", "entity", "cidr"]);
  switch (kind) {
    case "pods":
      return { kind, selector: selectorFromFields(fields, "selector") };
    case "entity":
      return { kind, entity: fields.choice("entity", POLICY_ENTITIES) };
    case "cidr":
      return cidrFromFields(fields);
  }
}

function cidrFromFields(fields: RecordFields): PolicyPeer {
  const within = prefixFromText(fields, { field: "cidr", text: fields.text("cidr", PREFIX) });
  const except = fields
    .texts("except", { maxItems: MAX_POLICY_PEERS, rule: PREFIX })
    .map((text) => prefixFromText(fields, { field: "except", text }));
  const outside = except.find(
    (prefix) => prefix.length < within.length || !prefixesOverlap(prefix, within),
  );
  if (outside !== undefined) {
    throw fields.refuse("except", { got: outside.text, want: `prefixes within ${within.text}` });
  }
  return { kind: "cidr", cidr: within.text, except: except.map(({ text }) => text) };
}

function prefixFromText(
  fields: RecordFields,
  { field, text }: { readonly field: string; readonly text: string },
): Prefix {
  let prefix: Prefix | undefined;
  try {
    prefix = parsePrefix(text);
  } catch {
    // Told below, with the record's name.
  }
  if (prefix?.text === text) return prefix;
  throw fields.refuse(field, { got: text, want: PREFIX.want });
}

function portFromFields(fields: RecordFields): PortMatch {
  const protocol = fields.choice("protocol", PROTOCOLS);
  if (protocol === "ICMP" || protocol === "ICMPv6") {
    return { protocol, type: fields.integer("type", { min: 0, max: 255 }) };
  }
  if (fields.has("name")) {
    return { protocol, name: fields.text("name", { ...PORT_NAME, optional: false }) };
  }
  const first = fields.integer("first", PORT);
  const last = fields.integer("last", { min: first, max: PORT.max });
  return { protocol, first, last };
}

function selectorFromFields(fields: RecordFields, field: string): LabelSelector {
  if (!fields.has(field)) throw fields.refuse(field, { got: undefined, want: "a list" });
  const requirements = fields.objects(field, MAX_REQUIREMENTS).map((requirement) => {
    const operator = requirement.choice("operator", OPERATORS);
    const values = requirement.texts("values", {
      maxItems: MAX_REQUIREMENT_VALUES,
      rule: SELECTOR_VALUE,
    });
    const takesValues = operator === "In" || operator === "NotIn";
    if (!takesValues && values.length > 0) {
      throw requirement.refuse("values", { got: values, want: `none beside ${operator}` });
    }
    return { key: requirement.text("key", SELECTOR_KEY), operator, values };
  });
  return createSelector(requirements);
}

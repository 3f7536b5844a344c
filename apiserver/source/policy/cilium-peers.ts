// Who a Cilium rule is about: endpoints, entities, CIDRs and services → peers. Pure. A peer that
// cannot be honoured is nobody where it would be allowed, and everybody where it would be denied.
import {
  POLICY_ENTITIES,
  type PolicyDirection,
  type PolicyEntity,
  type TrafficRule,
} from "../../../mesh/core/policy.ts";
import { createSelector, type Requirement } from "../../../mesh/core/selector.ts";
import {
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
} from "../../../mesh/kvstore/records/identity-labels.ts";
import type { Fields } from "../fields.ts";
import type { PeerObject } from "./policy-object.ts";
import { cidrPeer, parseCidr } from "./read-cidr.ts";
import { ciliumLabelKey, isPositive, readSelector, type ReadSelector } from "./read-selector.ts";
import { unknownFields, type Refusals } from "./refusals.ts";

export interface PeerContext {
  readonly direction: PolicyDirection;
  readonly verdict: TrafficRule["verdict"];
  /** Of the policy; "" for one of the whole cluster. */
  readonly namespace: string;
  readonly refusals: Refusals;
}

const EVERYBODY: PeerObject = { kind: "entity", entity: "all" };
/** `any:` and `k8s:` mean the same of pods. */
const BARE_NAMESPACE_LABEL = NAMESPACE_LABEL.slice("k8s:".length);
const BARE_NAMESPACE_LABELS = NAMESPACE_LABELS_PREFIX.slice("k8s:".length);

/** Fields that say who, by direction; `refused` are those that nothing here can tell. */
export const PEER_FIELDS = {
  ingress: {
    known: ["fromEndpoints", "fromEntities", "fromCIDR", "fromCIDRSet"],
    refused: new Map([
      ["fromNodes", "nodes cannot be selected by their labels"],
      ["fromGroups", "groups of cloud providers are unknown"],
    ]),
    requires: "fromRequires",
  },
  egress: {
    known: ["toEndpoints", "toEntities", "toCIDR", "toCIDRSet", "toServices"],
    refused: new Map([
      ["toNodes", "nodes cannot be selected by their labels"],
      ["toGroups", "groups of cloud providers are unknown"],
      ["toFQDNs", "names of DNS cannot be followed"],
    ]),
    requires: "toRequires",
  },
} as const;

/** Undefined: nothing says who, which is whoever it is. An empty list is nobody. */
export function peersFromRule(fields: Fields, context: PeerContext): PeerObject[] | undefined {
  const { known, refused } = PEER_FIELDS[context.direction];
  const present = [...known, ...refused.keys()].filter((name) => fields.has(name));
  const [first, second] = present.filter((name) => !isEmptyList(fields, name));
  if (first === undefined) return present.length === 0 ? undefined : [];
  // As in Cilium: an empty list is nobody, whatever stands beside it.
  if (present.some((name) => isEmptyList(fields, name))) return [];
  if (second !== undefined) {
    const what = `it cannot stand beside ${first}; want two rules`;
    return refuse(fields, { name: second, what, context });
  }
  const why = refused.get(first);
  if (why !== undefined) return refuse(fields, { name: first, what: why, context });
  switch (first.replace(/^(from|to)/, "")) {
    case "Endpoints":
      return fields.maps(first).flatMap((selector) => endpointPeer(selector, context));
    case "Entities":
      return entityPeers(fields, { name: first, context });
    case "CIDR":
      return fields
        .texts(first, (text) => parseCidr(text).text)
        .map((cidr) => ({ kind: "cidr", cidr, except: [] }));
    case "CIDRSet":
      return fields.maps(first).flatMap((set) => cidrSetPeer(set, context));
    default:
      return fields.maps(first).flatMap((service) => servicePeer(service, context));
  }
}

/** All of these lists hold maps or texts; a value that is no list is an error of its own. */
function isEmptyList(fields: Fields, name: string): boolean {
  return fields.length(name) === 0;
}

function endpointPeer(fields: Fields, context: PeerContext): PeerObject[] {
  const read = readSelector(fields, ciliumLabelKey);
  const reserved = read.reserved.filter(isPositive);
  if (reserved.length > 0) return reservedPeer(fields, { read, reserved, context });
  const honoured = honour(fields, { read, context });
  if (honoured === undefined) return [];
  return [{ kind: "pods", selector: createSelector(inScope(honoured, context.namespace)) }];
}

/** Without a word on namespaces, a policy of a namespace means its own. */
function inScope(requirements: readonly Requirement[], namespace: string): Requirement[] {
  const names = requirements.some(({ key }) => {
    const bare = key.slice(key.indexOf(":") + 1);
    return bare === BARE_NAMESPACE_LABEL || bare.startsWith(BARE_NAMESPACE_LABELS);
  });
  if (names || namespace === "") return [...requirements];
  return [...requirements, { key: NAMESPACE_LABEL, operator: "In", values: [namespace] }];
}

/** Undefined for a peer that must not be allowed; what would be denied is widened instead. */
function honour(
  fields: Fields,
  { read, context }: { readonly read: ReadSelector; readonly context: PeerContext },
): readonly Requirement[] | undefined {
  for (const { name, reason } of read.faults) {
    const effect =
      context.verdict === "allow" ? "this peer is allowed nothing" : "it is denied without it";
    context.refusals.add(fields, { name, reason: `${reason}; ${effect}` });
  }
  if (read.faults.length > 0 && context.verdict === "allow") return undefined;
  return read.requirements;
}

/** `reserved:host` and its like are entities, and have no other labels. */
function reservedPeer(
  fields: Fields,
  found: {
    readonly read: ReadSelector;
    readonly reserved: readonly Requirement[];
    readonly context: PeerContext;
  },
): PeerObject[] {
  const { read, reserved, context } = found;
  const name = `reserved:${reserved[0]?.key}`;
  const alone = read.requirements.length + read.faults.length === 0 && read.reserved.length === 1;
  const isPlain = reserved.every(({ values }) => values.every((value) => value === ""));
  const entity = entityFromName(reserved[0]?.key ?? "");
  if (alone && isPlain && entity !== undefined) return [{ kind: "entity", entity }];
  const what =
    entity === undefined ? `"${name}" is unknown here` : `"${name}" has no other labels or values`;
  return refuse(fields, { name: "", what, context });
}

function entityPeers(
  fields: Fields,
  { name, context }: { readonly name: string; readonly context: PeerContext },
): PeerObject[] {
  return fields
    .texts(name, (text) => text)
    .flatMap((text, index): PeerObject[] => {
      const entity = entityFromName(text);
      if (entity !== undefined) return [{ kind: "entity", entity }];
      const what =
        text === "kube-apiserver"
          ? "the API server's addresses are not followed"
          : `the entity "${text}" is unknown`;
      return refuse(fields, { name: `${name}[${index}]`, what, context });
    });
}

function entityFromName(name: string): PolicyEntity | undefined {
  return POLICY_ENTITIES.find((entity) => entity === name);
}

function cidrSetPeer(fields: Fields, context: PeerContext): PeerObject[] {
  const [unknown] = unknownFields(fields, ["cidr", "except"]);
  if (unknown === undefined) return [cidrPeer(fields)];
  const what = unknown.startsWith("cidrGroup") ? "groups of CIDRs are not followed" : "is unknown";
  return refuse(fields, { name: unknown, what, context });
}

function servicePeer(fields: Fields, context: PeerContext): PeerObject[] {
  const [byName, bySelector] = [fields.map("k8sService"), fields.map("k8sServiceSelector")];
  const unknown = [
    ...unknownFields(fields, ["k8sService", "k8sServiceSelector"]),
    ...(byName === undefined ? [] : unknownFields(byName, ["serviceName", "namespace"])),
    ...(bySelector === undefined ? [] : unknownFields(bySelector, ["selector", "namespace"])),
  ];
  if (unknown[0] !== undefined) {
    return refuse(fields, { name: unknown[0], what: "it is unknown", context });
  }
  const peers: PeerObject[] = [];
  if (byName !== undefined) {
    const namespace = byName.optionalText("namespace") ?? "";
    peers.push({ kind: "services", namespace, name: byName.text("serviceName"), selector: [] });
  }
  if (bySelector !== undefined) {
    const read = readServiceSelector(bySelector.map("selector"));
    const honoured = honour(bySelector.map("selector") ?? bySelector, { read, context });
    const namespace = bySelector.optionalText("namespace") ?? "";
    if (honoured !== undefined) {
      peers.push({ kind: "services", namespace, name: "", selector: createSelector(honoured) });
    }
  }
  return peers;
}

/** Services keep every label they have, and none of them has a source. */
function readServiceSelector(fields: Fields | undefined): ReadSelector {
  return readSelector(fields, (key) => ({
    kind: "label",
    key: `k8s:${key.replace(/^(k8s|any):/, "")}`,
  }));
}

function refuse(
  fields: Fields,
  found: { readonly name: string; readonly what: string; readonly context: PeerContext },
): PeerObject[] {
  const { name, what, context } = found;
  const allow = context.verdict === "allow";
  const effect = allow ? "nobody is allowed by it" : "everybody is denied";
  context.refusals.add(fields, { name, reason: `${what}; ${effect}` });
  return allow ? [] : [EVERYBODY];
}

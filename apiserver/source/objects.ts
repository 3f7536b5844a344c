// The Kubernetes objects that the apiserver reads, reduced to what it needs, and the tables that
// a source fills with them. A source (manifests/, kubernetes/) writes; identity, export and mirror
// read.
import { isDeepStrictEqual } from "node:util";
import type { PolicyKind } from "../../mesh/core/policy.ts";
import type { NodeAddress } from "../../mesh/core/node.ts";
import type { Protocol, ServiceSettings } from "../../mesh/core/service.ts";
import { createTable, type Table, type WritableTable } from "../../mesh/core/table.ts";
import type { PolicyObject } from "./policy/policy-object.ts";

export interface NamespaceObject {
  readonly kind: "Namespace";
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Whether anything of it may leave the cluster. */
  readonly global: boolean;
}

export interface NodeObject {
  readonly kind: "Node";
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly addresses: readonly NodeAddress[];
  /** Canonical prefixes, in the order of the spec: the first of each family is the primary one. */
  readonly podPrefixes: readonly string[];
  readonly bootId: string;
}

export interface ContainerPort {
  /** Empty for an unnamed one. */
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface PodObject {
  readonly kind: "Pod";
  readonly namespace: string;
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly serviceAccount: string;
  readonly nodeName: string;
  readonly hostNetwork: boolean;
  /** Canonical addresses, at most one of a family; empty before the pod has any. */
  readonly ips: readonly string[];
  readonly ports: readonly ContainerPort[];
  /** It may receive traffic: condition Ready, or running where nobody writes conditions. */
  readonly ready: boolean;
  /** It has a deletion timestamp. */
  readonly terminating: boolean;
  /** It has ended for good: its address may already belong to another pod. */
  readonly finished: boolean;
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** A container port's number or its name. */
  readonly target: number | string;
}

export interface ServiceObject {
  readonly kind: "Service";
  readonly namespace: string;
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Empty means that nothing is selected: the endpoints are somebody else's to write. */
  readonly selector: ReadonlyMap<string, string>;
  /** Canonical addresses; empty for a headless service. */
  readonly clusterIps: readonly string[];
  /** Families that the service asks for; empty means every one that its pods have. */
  readonly families: readonly (4 | 6)[];
  readonly ports: readonly ServicePort[];
  readonly publishNotReady: boolean;
  readonly settings: ServiceSettings;
}

export interface SliceEndpoint {
  /** Canonical addresses. */
  readonly addresses: readonly string[];
  readonly ready: boolean;
  /** Terminating endpoints still count while nothing else is left, if they still serve. */
  readonly serving: boolean;
  readonly terminating: boolean;
}

export interface SliceObject {
  readonly kind: "EndpointSlice";
  readonly namespace: string;
  readonly name: string;
  /** From the label `kubernetes.io/service-name`. */
  readonly serviceName: string;
  readonly ports: readonly ContainerPort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export type SourceObject =
  | NamespaceObject
  | NodeObject
  | PodObject
  | ServiceObject
  | SliceObject
  | { readonly [K in PolicyKind]: PolicyObject<K> }[PolicyKind];

export type SourceKind = SourceObject["kind"];

export const SOURCE_KINDS: readonly SourceKind[] = [
  "Namespace",
  "Node",
  "Pod",
  "Service",
  "EndpointSlice",
  "NetworkPolicy",
  "CiliumNetworkPolicy",
  "CiliumClusterwideNetworkPolicy",
];

type ObjectOf<K extends SourceKind> = Extract<SourceObject, { readonly kind: K }>;

/** What the rest of the apiserver sees of a source: one table a kind, rows by `objectKey`. */
export type Source = { readonly [K in SourceKind]: Table<ObjectOf<K>> };

export type WritableSource = { readonly [K in SourceKind]: WritableTable<ObjectOf<K>> };

/** `namespace/name`, or the name alone for objects without a namespace. */
export function objectKey(object: SourceObject): string {
  return "namespace" in object && object.namespace !== ""
    ? `${object.namespace}/${object.name}`
    : object.name;
}

/** Tables in which an equal object is no change, so that rewriting a file costs nothing downstream. */
export function createSource(): WritableSource {
  const table = <K extends SourceKind>(kind: K): WritableTable<ObjectOf<K>> =>
    createTable<ObjectOf<K>>({ name: `source/${kind}`, equals: isDeepStrictEqual });
  return {
    Namespace: table("Namespace"),
    Node: table("Node"),
    Pod: table("Pod"),
    Service: table("Service"),
    EndpointSlice: table("EndpointSlice"),
    NetworkPolicy: table("NetworkPolicy"),
    CiliumNetworkPolicy: table("CiliumNetworkPolicy"),
    CiliumClusterwideNetworkPolicy: table("CiliumClusterwideNetworkPolicy"),
  };
}

/** Puts an object into the table of its kind. */
export function putObject(source: WritableSource, object: SourceObject): void {
  const key = objectKey(object);
  switch (object.kind) {
    case "Namespace":
      source.Namespace.put(key, object);
      return;
    case "Node":
      source.Node.put(key, object);
      return;
    case "Pod":
      source.Pod.put(key, object);
      return;
    case "Service":
      source.Service.put(key, object);
      return;
    case "EndpointSlice":
      source.EndpointSlice.put(key, object);
      return;
    case "NetworkPolicy":
      source.NetworkPolicy.put(key, object);
      return;
    case "CiliumNetworkPolicy":
      source.CiliumNetworkPolicy.put(key, object);
      return;
    case "CiliumClusterwideNetworkPolicy":
      source.CiliumClusterwideNetworkPolicy.put(key, object);
      return;
  }
}

/** Something in a source that is not as its author meant it. */
export interface SourceProblem {
  /** "error": the last good state stays in force. "warning": a documented default is used. */
  readonly severity: "error" | "warning";
  /** Empty for objects that stand in none. */
  readonly file: string;
  /** Counted from 1; 0 where no line is to blame. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** "Service shop/cart", or empty where the object is not known. */
  readonly object: string;
}

/** What a source says of itself. */
export interface SourceStatus {
  /** 0 for a source that has none. */
  readonly files: number;
  readonly problems: readonly SourceProblem[];
}

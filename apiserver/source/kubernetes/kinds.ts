// The kinds that are followed: how an object of each is read, where the API server serves it, and
// which of them somebody has to define before there can be any.
import { discoverSlicePath } from "../../../mesh/kubernetes/discovery.ts";
import type { KubernetesTransport } from "../../../mesh/kubernetes/transport.ts";
import {
  namespaceFromFields,
  nodeFromFields,
  podFromFields,
  serviceFromFields,
  sliceFromFields,
  type Warn,
} from "../convert.ts";
import type { Fields } from "../fields.ts";
import type { SourceKind, SourceObject } from "../objects.ts";
import {
  ciliumClusterwidePolicyFromFields,
  ciliumPolicyFromFields,
} from "../policy/cilium-policy.ts";
import { networkPolicyFromFields } from "../policy/network-policy.ts";

export interface KindRules {
  readonly apiVersion: string;
  readonly convert: (fields: Fields, warn: Warn) => SourceObject | undefined;
  readonly path: (transport: KubernetesTransport, signal: AbortSignal) => Promise<string>;
  /** The CustomResourceDefinition without which there is no such kind. */
  readonly definition?: string;
  /** Whether its objects' owners are told what is wrong with them. */
  readonly told: boolean;
}

export const KINDS: Readonly<Record<SourceKind, KindRules>> = {
  Namespace: core("namespaces", namespaceFromFields),
  Node: core("nodes", nodeFromFields),
  Pod: core("pods", podFromFields),
  Service: { ...core("services", serviceFromFields), told: true },
  EndpointSlice: {
    apiVersion: "discovery.k8s.io/v1",
    convert: sliceFromFields,
    path: discoverSlicePath,
    told: false,
  },
  NetworkPolicy: policy("networking.k8s.io/v1", {
    plural: "networkpolicies",
    convert: networkPolicyFromFields,
  }),
  CiliumNetworkPolicy: {
    ...policy("cilium.io/v2", {
      plural: "ciliumnetworkpolicies",
      convert: ciliumPolicyFromFields,
    }),
    definition: "ciliumnetworkpolicies.cilium.io",
  },
  CiliumClusterwideNetworkPolicy: {
    ...policy("cilium.io/v2", {
      plural: "ciliumclusterwidenetworkpolicies",
      convert: ciliumClusterwidePolicyFromFields,
    }),
    definition: "ciliumclusterwidenetworkpolicies.cilium.io",
  },
};

function core(plural: string, convert: KindRules["convert"]): KindRules {
  const path = `/api/v1/${plural}`;
  return { apiVersion: "v1", convert, path: () => Promise.resolve(path), told: false };
}

function policy(
  apiVersion: string,
  { plural, convert }: { readonly plural: string; readonly convert: KindRules["convert"] },
): KindRules {
  const path = `/apis/${apiVersion}/${plural}`;
  return { apiVersion, convert, path: () => Promise.resolve(path), told: true };
}

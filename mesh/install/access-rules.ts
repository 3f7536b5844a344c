// What the two service accounts may do: every verb that the programs use, and none more. Each rule
// is explained in docs/kubernetes.md; tests/kubernetes/access-rules.test.ts takes each away and sees
// something fail.
import {
  AGENT_SECRET,
  CONNECT_LEASE,
  IDENTITIES_PREFIX,
  MAX_IDENTITIES_SHARDS,
  READERS_CONFIG_MAP,
} from "../kubernetes/object-names.ts";

export interface AccessRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const FOLLOW = ["list", "watch"];

const CILIUM_POLICIES = ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"];

/**
 * In the whole cluster: what a cluster exports, who may speak with whom, and words to the owners
 * of Services and policies.
 */
export const APISERVER_CLUSTER_RULES: readonly AccessRule[] = [
  { apiGroups: [""], resources: ["namespaces", "nodes", "pods", "services"], verbs: FOLLOW },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: FOLLOW },
  { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: FOLLOW },
  { apiGroups: ["cilium.io"], resources: CILIUM_POLICIES, verbs: FOLLOW },
  // Whether there are such policies: their absence is believed of nothing else.
  ...CILIUM_POLICIES.map((plural) => ({
    apiGroups: ["apiextensions.k8s.io"],
    resources: ["customresourcedefinitions"],
    resourceNames: [`${plural}.cilium.io`],
    verbs: ["get"],
  })),
  { apiGroups: [""], resources: ["events"], verbs: ["create"] },
];

/**
 * Each by its name, though they are many: whoever may write any ConfigMap of the namespace writes
 * the agents' configuration too, and with it to the nodes.
 */
const IDENTITIES = Array.from(
  { length: MAX_IDENTITIES_SHARDS },
  (_, index) => `${IDENTITIES_PREFIX}${index}`,
);

/**
 * In Tombolo's namespace: authority, certificates, peers, readers, invitations, identities, one
 * join at a time. Peers' names are not known beforehand, so Secrets have none here.
 */
export const APISERVER_RULES: readonly AccessRule[] = [
  {
    apiGroups: [""],
    resources: ["secrets"],
    verbs: ["get", "list", "watch", "create", "update", "delete"],
  },
  { apiGroups: [""], resources: ["configmaps"], verbs: ["get", "list", "watch", "create"] },
  {
    apiGroups: [""],
    resources: ["configmaps"],
    resourceNames: [READERS_CONFIG_MAP],
    verbs: ["update", "delete"],
  },
  {
    apiGroups: [""],
    resources: ["configmaps"],
    resourceNames: IDENTITIES,
    verbs: ["update"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    resourceNames: [CONNECT_LEASE],
    verbs: ["get", "update"],
  },
];

/** In Tombolo's namespace: where etcd is, and what to read it with. */
export const AGENT_RULES: readonly AccessRule[] = [
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: FOLLOW },
  {
    apiGroups: [""],
    resources: ["secrets"],
    resourceNames: [AGENT_SECRET],
    verbs: FOLLOW,
  },
];

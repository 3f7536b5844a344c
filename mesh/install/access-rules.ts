// What the two service accounts may do: every verb that the programs use, and none more. Each rule
// is explained in docs/kubernetes.md; a test takes each away and sees something fail.
import { AGENT_SECRET, CONNECT_LEASE, READERS_CONFIG_MAP } from "../kubernetes/object-names.ts";

export interface AccessRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const FOLLOW = ["list", "watch"];

/** In the whole cluster: what a cluster exports, and words to the owners of Services. */
export const APISERVER_CLUSTER_RULES: readonly AccessRule[] = [
  { apiGroups: [""], resources: ["namespaces", "nodes", "pods", "services"], verbs: FOLLOW },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: FOLLOW },
  { apiGroups: [""], resources: ["events"], verbs: ["create"] },
];

/** In Tombolo's namespace: authority, certificates, peers, readers, invitations, one join at a time. */
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

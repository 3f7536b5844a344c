// The etcd key layout: Cilium's (reference §1.1, §1.2) and Tombolo's own beside it. Every key is
// made and taken apart here and nowhere else.

export const STATE_PREFIX = "cilium/state";
export const CACHE_PREFIX = "cilium/cache";
export const HEARTBEAT_KEY = "cilium/.heartbeat";
export const CLUSTER_CONFIG_PREFIX = "cilium/cluster-config/";
export const SYNCED_PREFIX = "cilium/synced/";
/** Read by peers: what Cilium's layout has no place for. */
export const TOMBOLO_STATE_PREFIX = "tombolo/state";
/** A mirrored copy of a peer's `tombolo/state`. */
export const TOMBOLO_CACHE_PREFIX = "tombolo/cache";
/** Read by the cluster's own agents only: services that do not leave the cluster, settings. */
export const TOMBOLO_LOCAL_PREFIX = "tombolo/local";

/** What a cluster exports to its peers. */
export const EXPORTED_KINDS = ["nodes", "identities", "ip", "services"] as const;
export type ExportedKind = (typeof EXPORTED_KINDS)[number];

/** The prefix in the owner's etcd below which a kind's keys stand, without a trailing slash. */
export function statePrefix(kind: ExportedKind): string {
  return `${STATE_PREFIX}/${kind}/v1`;
}

/** Where a reader of `cluster`'s own etcd finds its keys of a kind; ends with "/". */
export function stateWatchPrefix(kind: ExportedKind, cluster: string): string {
  switch (kind) {
    case "nodes":
    case "services":
      return `${statePrefix(kind)}/${cluster}/`;
    case "identities":
      return `${statePrefix(kind)}/id/`;
    case "ip":
      return `${statePrefix(kind)}/default/`;
  }
}

/** Where the mirrored keys of a kind stand; ends with "/". Identities and ips gain the cluster. */
export function cacheWatchPrefix(kind: ExportedKind, cluster: string): string {
  const scope = `${CACHE_PREFIX}/${kind}/v1/${cluster}/`;
  return kind === "identities" ? `${scope}id/` : scope;
}

export function clusterConfigKey(cluster: string): string {
  return `${CLUSTER_CONFIG_PREFIX}${cluster}`;
}

/** The canary that says a kind's first full write is done; for cached kinds, of the cached copy. */
export function syncedKey(options: {
  cluster: string;
  kind: ExportedKind;
  cached: boolean;
}): string {
  const root = options.cached ? CACHE_PREFIX : STATE_PREFIX;
  return `${SYNCED_PREFIX}${options.cluster}/${root}/${options.kind}/v1`;
}

/** All canaries of a cluster; ends with "/". */
export function syncedWatchPrefix(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/`;
}

/** Full services for the cluster's own agents; ends with "/". */
export function localServicesPrefix(cluster: string): string {
  return `${TOMBOLO_LOCAL_PREFIX}/services/v1/${cluster}/`;
}

export function localServicesSyncedKey(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/${TOMBOLO_LOCAL_PREFIX}/services/v1`;
}

/** Which peers the cluster is configured to have, for its own agents; ends with "/". */
export function configuredPeersPrefix(cluster: string): string {
  return `${TOMBOLO_LOCAL_PREFIX}/peers/v1/${cluster}/`;
}

export function configuredPeersSyncedKey(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/${TOMBOLO_LOCAL_PREFIX}/peers/v1`;
}

/** What a cluster orders of itself: less of it for everybody; ends with "/". */
export function drainsPrefix(cluster: string): string {
  return `${TOMBOLO_STATE_PREFIX}/drains/v1/${cluster}/`;
}

/** Our copy of a peer's; ends with "/". */
export function cachedDrainsPrefix(cluster: string): string {
  return `${TOMBOLO_CACHE_PREFIX}/drains/v1/${cluster}/`;
}

/** Older members of the mesh never write it: nobody may wait for it. */
export function drainsSyncedKey(options: { cluster: string; cached: boolean }): string {
  const root = options.cached ? TOMBOLO_CACHE_PREFIX : TOMBOLO_STATE_PREFIX;
  return `${SYNCED_PREFIX}${options.cluster}/${root}/drains/v1`;
}

/** What a cluster orders about its peers, for its own agents; ends with "/". */
export function localDrainsPrefix(cluster: string): string {
  return `${TOMBOLO_LOCAL_PREFIX}/drains/v1/${cluster}/`;
}

export function localDrainsSyncedKey(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/${TOMBOLO_LOCAL_PREFIX}/drains/v1`;
}

/** Who may speak with whom, for the cluster's own agents; ends with "/". Names are policy keys. */
export function policiesPrefix(cluster: string): string {
  return `${TOMBOLO_LOCAL_PREFIX}/policies/v1/${cluster}/`;
}

/** Older apiservers never write it: nobody may wait for it. */
export function policiesSyncedKey(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/${TOMBOLO_LOCAL_PREFIX}/policies/v1`;
}

/** All identities, also of namespaces that peers do not hear of; ends with "/". */
export function localIdentitiesPrefix(cluster: string): string {
  return `${TOMBOLO_LOCAL_PREFIX}/identities/v1/${cluster}/`;
}

export function localIdentitiesSyncedKey(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/${TOMBOLO_LOCAL_PREFIX}/identities/v1`;
}

/** Every pod that is bound to a node, below the node's name; ends with "/". */
export function podsPrefix(cluster: string): string {
  return `${TOMBOLO_LOCAL_PREFIX}/pods/v1/${cluster}/`;
}

/** One canary for all nodes: a node without pods has one too. */
export function podsSyncedKey(cluster: string): string {
  return `${SYNCED_PREFIX}${cluster}/${TOMBOLO_LOCAL_PREFIX}/pods/v1`;
}

/** The pods of one node, for its agent; ends with "/". Names are `namespace/name`. */
export function nodePodsPrefix(place: { readonly cluster: string; readonly node: string }): string {
  return `${podsPrefix(place.cluster)}${place.node}/`;
}

/** Which Tombolo a cluster runs, as JSON `{"version":"0.1.0"}`; absent for plain Cilium members. */
export function versionKey(cluster: string): string {
  return `${TOMBOLO_STATE_PREFIX}/versions/v1/${cluster}`;
}

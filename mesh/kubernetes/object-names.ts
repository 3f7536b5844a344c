// What Tombolo's objects in a Kubernetes cluster are called, and at which ports its apiserver is
// reached there. One place, because the programs, `mesh` and the manifests must agree.

/** Where everything of Tombolo lives unless told otherwise. */
export const DEFAULT_NAMESPACE = "tombolo-system";

/** ConfigMap: what the cluster is called and may be reached at. */
export const CLUSTER_CONFIG_MAP = "tombolo-cluster";
export const CLUSTER_KEY = "cluster.json";

/** ConfigMap: the peers that may read this cluster. */
export const READERS_CONFIG_MAP = "tombolo-readers";
export const READERS_KEY = "remote-users.yaml";

/** ConfigMap: what operators have ordered; without it, nothing. */
export const OPERATIONS_CONFIG_MAP = "tombolo-operations";
export const DRAINS_KEY = "drains.json";

/** ConfigMaps: which number stands for which labels, called this with the shard's number behind it. */
export const IDENTITIES_PREFIX = "tombolo-identities-";
/** From shard 0 on; a mesh of 511 clusters has half as many a cluster. */
export const MAX_IDENTITIES_SHARDS = 64;
/** The label by which they are found; its value is the cluster's name. */
export const IDENTITIES_LABEL = "tombolo.io/identities";

/** Secret: the cluster's authority. */
export const AUTHORITY_SECRET = "tombolo-ca";
export const AUTHORITY_KEYS = {
  certificate: "ca.crt",
  privateKey: "ca.key",
  bundle: "ca-bundle.crt",
} as const;

/** Secret: what agents read their cluster's etcd with. */
export const AGENT_SECRET = "tombolo-agent";
export const AGENT_KEYS = {
  bundle: "ca-bundle.crt",
  certificate: "local.crt",
  privateKey: "local.key",
} as const;

/** One Secret a connected peer, called this with the peer's name behind it. */
export const PEER_SECRET_PREFIX = "tombolo-peer-";
/** The label by which peers' Secrets are found; its value is the peer's name. */
export const PEER_LABEL = "tombolo.io/peer";
export const PEER_KEYS = {
  endpoints: "endpoints",
  bundle: "ca.crt",
  certificate: "tls.crt",
  privateKey: "tls.key",
} as const;

/** Secret: open and used invitations, a key each, with the invitation's id as name. */
export const INVITES_SECRET = "tombolo-invites";

/** Lease: held by whoever connects or disconnects the cluster. */
export const CONNECT_LEASE = "tombolo-connect";

/** Deployment, Service and DaemonSet, with the name of the container that `mesh` runs in. */
export const APISERVER_NAME = "tombolo-apiserver";
export const APISERVER_CONTAINER = "apiserver";
export const AGENT_NAME = "tombolo-agent";
export const AGENT_CONTAINER = "agent";

/** On every pod, as Kubernetes recommends; the value is the Deployment's or DaemonSet's name. */
export const NAME_LABEL = "app.kubernetes.io/name";

/** Beside a control plane's own etcd, which has 2379, on the same host network. */
export const ETCD_PORT = 32_379;
export const JOIN_PORT = 32_381;
/** nats-server, for the cluster's own agents and for peers' servers. */
export const NATS_PORT = 32_422;
export const LEAF_PORT = 32_722;

// Under which names certificates are issued and servers are verified: Cilium's, because etcd takes
// a client's common name for its user. Who signs what is issue.ts.
import { parseClusterName } from "../mesh/core/cluster.ts";

export const SERVER_COMMON_NAME = "clustermesh-apiserver.cilium.io";
/** A cluster's etcd is verified under the name `<cluster>` + this. */
export const MESH_DOMAIN = ".mesh.cilium.io";

const AUTHORITY_PREFIX = "tombolo-ca-";

export function authorityCommonName(cluster: string): string {
  return `${AUTHORITY_PREFIX}${parseClusterName(cluster)}`;
}

/** Undefined for an authority that was not made by us. */
export function clusterOfAuthority(commonName: string): string | undefined {
  return commonName.startsWith(AUTHORITY_PREFIX)
    ? commonName.slice(AUTHORITY_PREFIX.length)
    : undefined;
}

export function adminCommonName(cluster: string): string {
  return `admin-${parseClusterName(cluster)}`;
}

export function localCommonName(cluster: string): string {
  return `local-${parseClusterName(cluster)}`;
}

/** The etcd user as which the cluster `reader` reads its peers. */
export function remoteCommonName(reader: string): string {
  return `remote-${parseClusterName(reader)}`;
}

/** The TLS name under which `cluster`'s etcd and join API are verified. */
export function meshServerName(cluster: string): string {
  return `${parseClusterName(cluster)}${MESH_DOMAIN}`;
}

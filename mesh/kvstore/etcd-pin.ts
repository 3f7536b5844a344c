// Which etcd a timeline has seen, and how far it had come: an etcd with another id, or one that
// is behind what we saw of it, is not the one that we knew. Only values; nothing is asked here.
//
// A single-member etcd started again with an empty directory and the same flags has the same
// cluster id, because etcd makes the id from its flags; only its revision gives it away. Whoever
// starts an etcd gives every fresh data directory its own `--initial-cluster-token`.
import { MeshError } from "../core/errors.ts";

export interface EtcdPin {
  readonly clusterId: string;
  readonly revision: bigint;
}

/** The part of etcd3's response header that is looked at. */
export interface ResponseHeader {
  readonly cluster_id: string;
  readonly revision: string;
}

export function pinFromHeader(header: ResponseHeader): EtcdPin {
  return { clusterId: header.cluster_id, revision: BigInt(header.revision) };
}

/** Returns the pin moved forward, or throws `cluster_changed`. */
export function advancePin(pin: EtcdPin | undefined, seen: EtcdPin): EtcdPin {
  if (pin === undefined) return seen;
  if (pin.clusterId !== seen.clusterId)
    throw new MeshError(
      "cluster_changed",
      `Cannot go on with etcd cluster ${pin.clusterId}: cluster ${seen.clusterId} answers`,
    );
  if (seen.revision < pin.revision)
    throw new MeshError(
      "cluster_changed",
      `Cannot go on with etcd cluster ${pin.clusterId}: it is at revision ${seen.revision}, behind ${pin.revision} that was seen before`,
    );
  return seen;
}

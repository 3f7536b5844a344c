// Which etcd a timeline has seen, and how far it had come: an etcd with another id, or one that
// is behind what we saw of it, is not the one that we knew. Only values; nothing is asked here.
//
// A single-member etcd started again with an empty directory and the same flags has the same
// cluster id, because etcd makes the id from its flags. Its revision gives it away as long as it
// is behind; after that the witness does (a key that was written at a revision we remember).
// Whoever starts an etcd should give every fresh data directory its own
// `--initial-cluster-token`; then the id tells at once.
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

/** What a connection remembers of its etcd, to know it again after an interruption. */
export class EtcdWitness {
  /** Another etcd has been met so many times. */
  epoch = 0;
  #pin: EtcdPin | undefined;
  #key: string | undefined;
  #revision = 0n;

  /** The latest write that we know of; undefined when none is known. */
  get write(): { readonly key: string; readonly revision: bigint } | undefined {
    return this.#key === undefined ? undefined : { key: this.#key, revision: this.#revision };
  }

  saw(pin: EtcdPin): void {
    // Answers of calls that ran side by side come in any order: only the highest counts.
    if (this.#pin === undefined) this.#pin = pin;
    else if (pin.clusterId === this.#pin.clusterId && pin.revision > this.#pin.revision)
      this.#pin = pin;
  }

  sawWrite(key: string, revision: bigint): void {
    if (revision <= this.#revision) return;
    this.#key = key;
    this.#revision = revision;
  }

  /** After an interruption; throws `cluster_changed` once, then the new etcd is the known one. */
  recognise(seen: EtcdPin): void {
    try {
      this.#pin = advancePin(this.#pin, seen);
    } catch (error) {
      this.changed(seen);
      throw error;
    }
  }

  changed(seen: EtcdPin | undefined): void {
    this.epoch++;
    this.#pin = seen;
    this.#key = undefined;
    this.#revision = 0n;
  }
}

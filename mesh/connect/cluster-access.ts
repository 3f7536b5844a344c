// What connecting needs of a cluster it may operate: read facts, sign, write, undo. Directory
// access (directory-access.ts) is one way to get it; Kubernetes will be another.
import type { Certificate } from "../../pki/certificate.ts";
import type { TrustBundle } from "../../pki/bundle.ts";
import type { KeyedCertificate } from "../../pki/issue.ts";
import type { SigningRequest } from "../../pki/signing-request.ts";
import type { ClusterProfile } from "../contexts/cluster-directory.ts";
import type { ClusterFacts, EndpointFacts, PeerStatusReader } from "./cluster-facts.ts";

/** All that a cluster must hold to read one peer. */
export interface PeerInstallation {
  readonly name: string;
  readonly endpoints: readonly string[];
  readonly bundle: TrustBundle;
  readonly client: KeyedCertificate;
}

export interface ClusterAccess extends PeerStatusReader {
  /** The context's name: how messages name this way in. */
  readonly context: string;
  readProfile(): Promise<ClusterProfile>;
  readFacts(signal: AbortSignal): Promise<ClusterFacts>;
  /** Whether there is anything of a connection with `peer`, in order or not. */
  knowsPeer(peer: string): Promise<boolean>;
  /** The services that this cluster would miss without `peer`. */
  readLosses(peer: string, signal: AbortSignal): Promise<readonly ServiceLoss[]>;
  /** How another cluster's etcd answers where this cluster's apiserver runs, if that can be asked. */
  probePeer?(
    peer: { cluster: string; endpoints: readonly string[]; bundle: TrustBundle },
    signal: AbortSignal,
  ): Promise<readonly EndpointFacts[]>;
  /** Signs a client certificate for the cluster `reader`; stores nothing. */
  signReader(reader: string, request: SigningRequest): Promise<Certificate>;
  /** Lets `reader` in, or out. Idempotent. */
  admitReader(reader: string): Promise<void>;
  expelReader(reader: string): Promise<void>;
  /** Makes the cluster's apiserver mirror the peer, or stop. Idempotent. */
  installPeer(peer: PeerInstallation): Promise<void>;
  removePeer(name: string): Promise<void>;
  /**
   * Remembers everything that the four verbs above may change for `peer`. The returned function
   * puts it back byte for byte; calling it twice is the same as once.
   */
  rememberPeer(peer: string): Promise<() => Promise<void>>;
  /**
   * Keeps other commands from connecting or disconnecting this cluster until the returned
   * function is called. Throws `conflict` if one is at it; may wait for half a minute to see
   * whether one is.
   */
  lock(signal?: AbortSignal): Promise<() => Promise<void>>;
}

/** A global service and its backends, as one cluster sees them. */
export interface ServiceLoss {
  /** `namespace/name`. */
  readonly service: string;
  readonly lostBackends: number;
  readonly remainingBackends: number;
}

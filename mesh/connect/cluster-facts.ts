// What connecting must know about one cluster before it decides anything: a value, gathered by a
// ClusterAccess or received over the join API, judged by preflight.ts and plan.ts.
import type { Certificate } from "../../pki/certificate.ts";
import type { TrustBundle } from "../../pki/bundle.ts";
import type { ClusterProfile } from "../contexts/cluster-directory.ts";

export interface ClusterFacts {
  /** The context (or "the token") through which the facts were read; how messages name it. */
  readonly context: string;
  readonly profile: ClusterProfile;
  /** The authorities that sign this cluster's certificates. */
  readonly bundle: TrustBundle;
  readonly endpoints: readonly EndpointFacts[];
  /** Pod prefixes of the cluster's own nodes and of those of the peers it mirrors. */
  readonly prefixes: readonly PrefixClaim[];
  /** How the cluster's own nodes encrypt, each way once, sorted; empty if it is not known. */
  readonly encryption: readonly EncryptionMode[];
  /** What the cluster's etcd says about itself, if it says anything yet. */
  readonly advertised: AdvertisedConfig | undefined;
  /** Why the cluster's apiserver does not answer; undefined if it does. */
  readonly apiserverProblem: string | undefined;
  /** Which Tombolo runs there; "" if unknown. */
  readonly version: string;
  readonly peers: readonly InstalledPeer[];
  /** Names of the clusters that may read this one. */
  readonly readers: readonly string[];
}

/** In the words of a node's key id (reference §1.6): 0, 1 to 15, 255. */
export type EncryptionMode = "none" | "ipsec" | "wireguard";

export interface AdvertisedConfig {
  readonly id: number;
  readonly maxConnectedClusters: number;
}

export interface PrefixClaim {
  /** Canonical `address/length`. */
  readonly prefix: string;
  readonly cluster: string;
  readonly node: string;
}

export interface EndpointFacts {
  readonly endpoint: string;
  readonly answer:
    | {
        readonly kind: "reachable";
        /** The endpoint's wall clock minus this machine's; exact to about a second. */
        readonly clockOffsetMs: number | undefined;
      }
    | { readonly kind: "unreachable"; readonly reason: string }
    /** Something answered, but its certificate is not the cluster's. */
    | { readonly kind: "untrusted"; readonly reason: string };
}

/** One peer as it stands in the cluster's files. */
export interface InstalledPeer {
  readonly name: string;
  /** From the mirrored cluster-config; undefined if it was never mirrored. */
  readonly id: number | undefined;
  readonly endpoints: readonly string[];
  /** Whom the cluster believes to be that peer; undefined if the file is missing or broken. */
  readonly bundle: TrustBundle | undefined;
  /** Our client certificate for the peer; undefined if it or its key is missing or broken. */
  readonly client: Certificate | undefined;
  /** Why the files cannot be used, if they cannot. */
  readonly problem: string | undefined;
}

/** One peer as the cluster's apiserver sees it now. */
export interface PeerStatus {
  readonly name: string;
  /** 0 before its config was read. */
  readonly id: number;
  /** "connecting", "syncing", "ready", "stale", "refused", "removing". */
  readonly state: string;
  readonly reason: string;
  /** Its whole state has been mirrored since the apiserver started. */
  readonly synced: boolean;
  /** Negative before the first heartbeat. */
  readonly heartbeatAgeSeconds: number;
  readonly reconnections: number;
  readonly kinds: readonly PeerKindStatus[];
}

export interface PeerKindStatus {
  readonly kind: string;
  readonly records: number;
  readonly rejected: number;
  readonly rejectedLatest: readonly string[];
}

/** The part of the apiserver's status API that connecting and `mesh status` use. */
export interface PeerStatusReader {
  /** Rejects with `unavailable` when no apiserver answers. */
  readPeers(signal: AbortSignal): Promise<readonly PeerStatus[]>;
}

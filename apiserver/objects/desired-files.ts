// What the cluster directory must hold, by the objects of Kubernetes that are known. Pure. An
// object that cannot be used leaves what the directory has, and nothing is taken away before the
// objects of its kind have been read whole.
import type { PeerInstallation } from "../../mesh/connect/cluster-access.ts";
import { drainsFromConfigMap } from "../../mesh/connect/drain-store.ts";
import { encodeRemoteUsers } from "../../mesh/connect/peer-file.ts";
import {
  authorityFromSecret,
  peerFromSecret,
  peerNameOfSecret,
  readersFromConfigMap,
  type ClusterAuthority,
  type ConfigMap,
  type Secret,
} from "../../mesh/connect/kubernetes-objects.ts";
import {
  profileFromSettings,
  settingsFromConfigMap,
  type NodeObject,
} from "../../mesh/connect/kubernetes-profile.ts";
import type { ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import { parseClusterName, type ClusterIdentity } from "../../mesh/core/cluster.ts";
import { encodeDrainFile } from "../../mesh/drain/drain-file.ts";
import { MeshError, messageFromError } from "../../mesh/core/errors.ts";
import {
  AUTHORITY_SECRET,
  CLUSTER_CONFIG_MAP,
  OPERATIONS_CONFIG_MAP,
  PEER_LABEL,
  PEER_SECRET_PREFIX,
  READERS_CONFIG_MAP,
  READERS_KEY,
} from "../../mesh/kubernetes/object-names.ts";
import type { ApiObject } from "../../mesh/kubernetes/watch-state.ts";
import type { KnownKind } from "./followed-kind.ts";

export interface KnownObjects {
  readonly secrets: KnownKind<Secret>;
  readonly configMaps: KnownKind<ConfigMap>;
  readonly nodes: KnownKind<NodeObject>;
}

export interface DesiredFiles {
  /** `undefined`, here and below: what the directory has stays. */
  readonly profile: ClusterProfile | undefined;
  readonly authority: ClusterAuthority | undefined;
  readonly authorityMissing: boolean;
  /** Text of remote-users.yaml. */
  readonly readers: string | undefined;
  /** Text of operations/drains.json. */
  readonly drains: string | undefined;
  readonly peers: ReadonlyMap<string, DesiredPeer>;
  /** Whether peers that are not among `peers` are removed. */
  readonly peersWhole: boolean;
  readonly problems: readonly ObjectProblem[];
}

/** A peer whose Secret cannot be used is a configured peer nevertheless. */
export type DesiredPeer =
  | { readonly kind: "installed"; readonly peer: PeerInstallation }
  | { readonly kind: "unusable"; readonly reason: string };

export interface ObjectProblem {
  readonly kind: "Secret" | "ConfigMap";
  readonly name: string;
  /** Undefined if what is wrong is that it is missing. */
  readonly object: ApiObject | undefined;
  readonly message: string;
}

/** 32 certificates, a key and 64 endpoints, many times; a Secret may have a megabyte. */
const MAX_PEER_BYTES = 256 * 1024;

export function planFiles(known: KnownObjects, running: ClusterIdentity): DesiredFiles {
  const problems: ObjectProblem[] = [];
  const attempt = <T>(
    about: { kind: "Secret" | "ConfigMap"; name: string; object: ApiObject | undefined },
    read: () => T,
  ): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push({ ...about, message: messageFromError(error) });
      return undefined;
    }
  };
  const { secrets, configMaps, nodes } = known;
  const cluster = configMaps.find(CLUSTER_CONFIG_MAP);
  const readers = configMaps.find(READERS_CONFIG_MAP);
  const operations = configMaps.find(OPERATIONS_CONFIG_MAP);
  const authority = secrets.find(AUTHORITY_SECRET);
  return {
    profile: configMaps.whole
      ? attempt({ kind: "ConfigMap", name: CLUSTER_CONFIG_MAP, object: cluster }, () =>
          planProfile(cluster, { nodes, running }),
        )
      : undefined,
    authority:
      authority === undefined
        ? undefined
        : attempt({ kind: "Secret", name: AUTHORITY_SECRET, object: authority }, () =>
            authorityFromSecret(authority),
          ),
    authorityMissing: secrets.whole && authority === undefined,
    readers: configMaps.whole
      ? attempt({ kind: "ConfigMap", name: READERS_CONFIG_MAP, object: readers }, () =>
          planReaders(readers),
        )
      : undefined,
    drains: configMaps.whole
      ? attempt({ kind: "ConfigMap", name: OPERATIONS_CONFIG_MAP, object: operations }, () =>
          encodeDrainFile(drainsFromConfigMap(operations)),
        )
      : undefined,
    peers: planPeers(secrets.all(), problems),
    peersWhole: secrets.whole,
    problems,
  };
}

/** A peer's Secret, well or badly labelled: one that lost its label is not one that was removed. */
export function isPeerSecret({ metadata }: Secret): boolean {
  return (
    metadata.name.startsWith(PEER_SECRET_PREFIX) || metadata.labels?.[PEER_LABEL] !== undefined
  );
}

function planPeers(
  secrets: readonly Secret[],
  problems: ObjectProblem[],
): ReadonlyMap<string, DesiredPeer> {
  const peers = new Map<string, DesiredPeer>();
  for (const secret of secrets.filter(isPeerSecret)) {
    try {
      refuseLarge(secret);
      const peer = peerFromSecret(secret);
      peers.set(peer.name, { kind: "installed", peer });
    } catch (error) {
      const { name } = secret.metadata;
      const message = messageFromError(error);
      problems.push({ kind: "Secret", name, object: secret, message });
      const held = heldName(secret);
      if (held !== undefined) peers.set(held, { kind: "unusable", reason: message });
    }
  }
  return peers;
}

/** The peer that an unusable Secret stands for: its object's name cannot be changed. */
function heldName(secret: Secret): string | undefined {
  const { name } = secret.metadata;
  if (!name.startsWith(PEER_SECRET_PREFIX)) return undefined;
  try {
    return parseClusterName(name.slice(PEER_SECRET_PREFIX.length));
  } catch {
    return undefined; // No cluster can be called that; peerNameOfSecret has said so.
  }
}

function refuseLarge(secret: Secret): void {
  peerNameOfSecret(secret);
  const bytes = Object.values(secret.data ?? {}).reduce((sum, text) => sum + text.length, 0);
  if (bytes <= MAX_PEER_BYTES) return;
  throw new MeshError(
    "invalid_argument",
    `Cannot use Secret "${secret.metadata.name}": it holds ${bytes} bytes, want at most ${MAX_PEER_BYTES}`,
  );
}

/** Without the object nobody may read us; an object without its key is a slip of the pen. */
function planReaders(configMap: ConfigMap | undefined): string {
  if (configMap !== undefined && configMap.data?.[READERS_KEY] === undefined) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use ConfigMap "${READERS_CONFIG_MAP}": it has no key "${READERS_KEY}"`,
    );
  }
  return encodeRemoteUsers(readersFromConfigMap(configMap));
}

function planProfile(
  configMap: ConfigMap | undefined,
  { nodes, running }: { nodes: KnownKind<NodeObject>; running: ClusterIdentity },
): ClusterProfile | undefined {
  const settings = settingsFromConfigMap(configMap);
  for (const field of ["name", "id", "maxConnectedClusters"] as const) {
    if (settings[field] === running[field]) continue;
    throw new MeshError(
      "conflict",
      `Cannot change ${field} of the running cluster from "${running[field]}" to "${settings[field]}"`,
      { hint: "uninstall Tombolo and install it with the other one" },
    );
  }
  const given = settings.etcdEndpoints !== undefined && settings.joinEndpoint !== undefined;
  return given || nodes.whole ? profileFromSettings(settings, nodes.all()) : undefined;
}

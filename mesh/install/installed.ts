// What an installation in the cluster says of itself: read by install, upgrade and uninstall before
// they do anything.
import { parseClusterSettings } from "../contexts/cluster-directory.ts";
import type { ClusterIdentity } from "../core/cluster.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import {
  CLUSTER_CONFIG_MAP,
  CLUSTER_KEY,
  APISERVER_NAME,
  PEER_LABEL,
  READERS_CONFIG_MAP,
  READERS_KEY,
} from "../kubernetes/object-names.ts";
import { parseRemoteUsers } from "../connect/peer-file.ts";
import { listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import { NAMESPACE_LABEL, SETTINGS_ANNOTATION, VERSION_LABEL } from "./manifest.ts";
import { parseSettings, type InstallSettings, type SettingTexts } from "./settings.ts";

export interface LabelledObject extends ApiObject {
  readonly metadata: ApiObject["metadata"] & {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}

interface ConfigMap extends LabelledObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface Installed {
  /** Undefined when what stands there cannot be used. */
  readonly cluster: ClusterIdentity | undefined;
  /** What `mesh install` was told; undefined when somebody else has applied the objects. */
  readonly settings: InstallSettings | undefined;
  readonly version: string | undefined;
}

/** Undefined if nothing is installed in the namespace. */
export async function readInstalled(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<Installed | undefined> {
  const path = `/api/v1/namespaces/${namespace}/configmaps/${CLUSTER_CONFIG_MAP}`;
  const configMap = await readObject<ConfigMap>(transport, path, signal);
  return configMap === undefined ? undefined : installedFromConfigMap(configMap);
}

export function installedFromConfigMap({ metadata, data }: ConfigMap): Installed {
  const version = metadata.labels?.[VERSION_LABEL];
  return {
    cluster: clusterFromText(data?.[CLUSTER_KEY] ?? ""),
    settings: settingsFromAnnotation(metadata.annotations?.[SETTINGS_ANNOTATION], version),
    version,
  };
}

/** The namespace of an installation, wherever it is; undefined if there is none or it is not known. */
export async function readInstalledNamespace(
  transport: KubernetesTransport,
  signal: AbortSignal,
): Promise<string | undefined> {
  const path = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${APISERVER_NAME}`;
  const role = await readObject<LabelledObject>(transport, path, signal);
  return role?.metadata.labels?.[NAMESPACE_LABEL];
}

/** Names of the clusters that this one reads, or that read it. */
export async function readConnectedPeers(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<string[]> {
  const core = `/api/v1/namespaces/${namespace}`;
  const secrets = await listObjects<LabelledObject>(
    transport,
    `${core}/secrets?labelSelector=${encodeURIComponent(PEER_LABEL)}`,
    signal,
  );
  const read = secrets.map(({ metadata }) => metadata.labels?.[PEER_LABEL] ?? metadata.name);
  const path = `${core}/configmaps/${READERS_CONFIG_MAP}`;
  const readers = await readObject<ConfigMap>(transport, path, signal);
  const text = readers?.data?.[READERS_KEY] ?? "";
  return [...new Set([...read, ...parseRemoteUsers(text, READERS_CONFIG_MAP)])].sort();
}

function clusterFromText(text: string): ClusterIdentity | undefined {
  try {
    const { name, id, maxConnectedClusters } = parseClusterSettings(text, CLUSTER_CONFIG_MAP);
    return { name, id, maxConnectedClusters };
  } catch (error) {
    if (isMeshError(error, "invalid_argument")) return undefined; // Never ran as any cluster.
    throw error;
  }
}

function settingsFromAnnotation(
  text: string | undefined,
  version: string | undefined,
): InstallSettings | undefined {
  if (text === undefined) return undefined;
  try {
    return parseSettings(JSON.parse(text) as SettingTexts, version ?? "");
  } catch (cause) {
    throw new MeshError(
      "data_loss",
      `Cannot read annotation "${SETTINGS_ANNOTATION}" of ConfigMap "${CLUSTER_CONFIG_MAP}"`,
      { cause, hint: "remove the annotation, then run `mesh install` with all settings" },
    );
  }
}

// Reading the objects by which a Kubernetes cluster says what it is: profile, authority, readers.
import type { ClusterProfile, ClusterSettings } from "../contexts/cluster-directory.ts";
import {
  AUTHORITY_SECRET,
  CLUSTER_CONFIG_MAP,
  READERS_CONFIG_MAP,
} from "../kubernetes/object-names.ts";
import { listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import {
  authorityFromSecret,
  readersFromConfigMap,
  type ClusterAuthority,
  type ConfigMap,
  type Secret,
} from "./kubernetes-objects.ts";
import { findApiserverNode } from "./kubernetes-apiserver.ts";
import {
  hasMoreAddresses,
  profileFromSettings,
  settingsFromConfigMap,
  type NodeObject,
} from "./kubernetes-profile.ts";

export interface ClusterObjects {
  /** Paths of collections. */
  readonly secrets: string;
  readonly configMaps: string;
  readProfile(signal: AbortSignal): Promise<{
    readonly profile: ClusterProfile;
    readonly settings: ClusterSettings;
    /** Empty if the settings name all endpoints: they are not asked then. */
    readonly nodes: readonly NodeObject[];
  }>;
  readAuthority(signal: AbortSignal): Promise<ClusterAuthority>;
  readReaders(signal: AbortSignal): Promise<readonly string[]>;
}

export function createClusterObjects({
  transport,
  namespace,
}: {
  transport: KubernetesTransport;
  namespace: string;
}): ClusterObjects {
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  const configMaps = `/api/v1/namespaces/${namespace}/configmaps`;
  return {
    secrets,
    configMaps,
    readProfile: async (signal) => {
      const path = `${configMaps}/${CLUSTER_CONFIG_MAP}`;
      const settings = settingsFromConfigMap(await readObject<ConfigMap>(transport, path, signal));
      const complete = settings.etcdEndpoints !== undefined && settings.joinEndpoint !== undefined;
      const nodes = complete
        ? []
        : await listObjects<NodeObject>(transport, "/api/v1/nodes", signal);
      const apiserverNode = hasMoreAddresses(nodes)
        ? await findApiserverNode({ transport, namespace }, signal)
        : undefined;
      return { profile: profileFromSettings(settings, nodes, apiserverNode), settings, nodes };
    },
    readAuthority: async (signal) =>
      authorityFromSecret(
        await readObject<Secret>(transport, `${secrets}/${AUTHORITY_SECRET}`, signal),
      ),
    readReaders: async (signal) =>
      readersFromConfigMap(
        await readObject<ConfigMap>(transport, `${configMaps}/${READERS_CONFIG_MAP}`, signal),
      ),
  };
}

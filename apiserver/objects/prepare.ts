// Before anything runs under Kubernetes: the directory needs the cluster's profile and its
// authority. What a container that was restarted finds in its directory is as good, so the API is
// waited for only where the directory is new.
import type { ConfigMap } from "../../mesh/connect/kubernetes-objects.ts";
import {
  profileFromSettings,
  settingsFromConfigMap,
  type NodeObject,
} from "../../mesh/connect/kubernetes-profile.ts";
import { clusterPaths, readClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import type { ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import { throwIfAborted, withTimeout, type Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { CLUSTER_CONFIG_MAP } from "../../mesh/kubernetes/object-names.ts";
import { listObjects, readObject } from "../../mesh/kubernetes/objects.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { readAuthority } from "../../pki/files.ts";
import { prepareAuthority } from "./authority.ts";
import type { ObjectDirectory } from "./directory.ts";

export interface PrepareOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  /** The cluster directory. */
  readonly root: string;
  readonly directory: Pick<ObjectDirectory, "writeProfile">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Somebody is typing `kubectl apply` meanwhile. */
const RETRY_MS = 1_000;
/** An API server that is busy answers in seconds; one that is away must not hold up a restart. */
const CALL_TIMEOUT_MS = 20_000;

/** Throws `invalid_argument` for an authority that cannot be used, when there is no other. */
export async function prepareDirectory(
  options: PrepareOptions,
  signal: AbortSignal,
): Promise<ClusterProfile> {
  const { root, clock } = options;
  const { pki } = clusterPaths(root);
  const profile = await obtain(
    {
      ...options,
      what: "the cluster's profile",
      read: (inner) => readProfile(options, inner),
      kept: () => readClusterProfile(root),
    },
    signal,
  );
  await obtain(
    {
      ...options,
      what: "the cluster's authority",
      read: (inner) =>
        prepareAuthority({ ...options, pki, cluster: profile.name, nowMs: clock.nowMs }, inner),
      kept: async () => void (await readAuthority(pki)),
      fatal: (error) => isMeshError(error, "invalid_argument"),
    },
    signal,
  );
  return profile;
}

async function readProfile(options: PrepareOptions, signal: AbortSignal): Promise<ClusterProfile> {
  const { transport, namespace, root } = options;
  const path = `/api/v1/namespaces/${namespace}/configmaps/${CLUSTER_CONFIG_MAP}`;
  const configMap = await readObject<ConfigMap>(transport, path, signal);
  const settings = settingsFromConfigMap(configMap && { ...configMap, kind: "ConfigMap" });
  const given = settings.etcdEndpoints !== undefined && settings.joinEndpoint !== undefined;
  const nodes = given ? [] : await listObjects<NodeObject>(transport, "/api/v1/nodes", signal);
  const profile = profileFromSettings(settings, nodes);
  const kept = await readClusterProfile(root).catch(() => undefined); // A new directory.
  // The directory's etcd is the former cluster's; whoever follows the objects says what is wrong.
  if (kept !== undefined && (kept.name !== profile.name || kept.id !== profile.id)) return kept;
  await options.directory.writeProfile(profile);
  return profile;
}

/** From Kubernetes; or what the directory has; or later. */
async function obtain<T>(
  options: PrepareOptions & {
    readonly what: string;
    readonly read: (signal: AbortSignal) => Promise<T>;
    readonly kept: () => Promise<T>;
    readonly fatal?: (error: unknown) => boolean;
  },
  signal: AbortSignal,
): Promise<T> {
  const { what, clock, log } = options;
  for (let said = ""; ;) {
    try {
      const limit = { ms: CALL_TIMEOUT_MS, what: `Cannot read ${what}`, clock, signal };
      return await withTimeout(options.read, limit);
    } catch (error) {
      throwIfAborted(signal);
      const reason = messageFromError(error);
      const kept = await options.kept().then(
        (value) => ({ value }),
        () => undefined, // A new directory: it has to come from Kubernetes.
      );
      if (kept !== undefined) {
        log.warn("Kubernetes says nothing usable; what the directory has is used", {
          what,
          reason,
        });
        return kept.value;
      }
      if (options.fatal?.(error) === true) throw error;
      if (reason !== said) log.warn("Waiting for Kubernetes", { what, reason });
      said = reason;
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

// From a context's name to access to its cluster, with the real etcd and the real apiserver
// behind it: the composition that every connecting command needs.
import { createApiserverStatusReader } from "../api/apiserver-client.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { clusterPaths, readClusterProfile } from "../contexts/cluster-directory.ts";
import {
  isKubernetesContext,
  type DirectoryContext,
  type KubernetesContext,
  type MeshContext,
} from "../contexts/contexts.ts";
import { createPodExec } from "../kubernetes/exec.ts";
import { DEFAULT_NAMESPACE } from "../kubernetes/object-names.ts";
import { createKubernetesTransport, type KubernetesTransport } from "../kubernetes/transport.ts";
import { createEtcdStore } from "../kvstore/etcd-store.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { PeerStatusReader } from "./cluster-facts.ts";
import { createDirectoryAccess } from "./directory-access.ts";
import { createPodDrainChecker, type DrainChecker } from "./drain-check.ts";
import {
  createDirectoryDrainStore,
  createKubernetesDrainStore,
  type DrainStore,
} from "./drain-store.ts";
import type { OpenStore } from "./gather-facts.ts";
import { createInsideView, type InsideView } from "./inside-view.ts";
import type { Inviter } from "./invite.ts";
import { createInviteStore, type InviteStore } from "./invite-store.ts";
import { createKubernetesAccess } from "./kubernetes-access.ts";
import {
  createPodStatusReader,
  type InPod,
  type ReportedStatusReader,
} from "./kubernetes-apiserver.ts";
import { createKubernetesInviteStore } from "./kubernetes-invites.ts";
import { readKubernetesInviter } from "./kubernetes-inviter.ts";
import { readAuthority } from "../../pki/files.ts";

export interface AccessEnvironment {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** Access to the cluster of a directory. An apiserver passes its own status as `apiserver`. */
export function openClusterAccess(
  cluster: {
    readonly context: string;
    readonly directory: string;
    readonly apiserver?: PeerStatusReader;
  },
  environment: AccessEnvironment,
): ClusterAccess {
  const { context, directory } = cluster;
  const socketPath = clusterPaths(directory).apiserverSocket;
  const { clock } = environment;
  return createDirectoryAccess({
    context,
    directory,
    clock,
    apiserver: cluster.apiserver ?? createApiserverStatusReader({ socketPath, clock }),
    openStore: etcdOpener(environment),
  });
}

/**
 * Access to the cluster of a Kubernetes API. An apiserver passes its own status as `apiserver`;
 * everybody else asks it in its pod.
 */
export function openKubernetesAccess(
  cluster: {
    readonly context: string;
    readonly transport: KubernetesTransport;
    readonly namespace: string;
    readonly apiserver: PeerStatusReader;
    readonly inside?: InsideView;
  },
  environment: AccessEnvironment,
): ClusterAccess {
  return createKubernetesAccess({
    ...cluster,
    ...environment,
    openStore: etcdOpener(environment),
  });
}

/** Everything that commands do with the cluster of a context, whatever kind of context it is. */
export interface ContextCluster {
  readonly access: ClusterAccess;
  readonly status: ReportedStatusReader;
  readonly invites: InviteStore;
  readonly drains: DrainStore;
  readonly drainChecker: DrainChecker;
  /** What an invitation says of the cluster. */
  readInviter(signal: AbortSignal): Promise<Inviter>;
}

export function openContext(context: MeshContext, environment: AccessEnvironment): ContextCluster {
  return isKubernetesContext(context)
    ? openKubernetesContext(context, environment)
    : openDirectoryContext(context, environment);
}

function openDirectoryContext(
  { name, directory }: DirectoryContext,
  environment: AccessEnvironment,
): ContextCluster {
  const { apiserverSocket: socketPath, pki } = clusterPaths(directory);
  const status = createApiserverStatusReader({ socketPath, clock: environment.clock });
  return {
    access: openClusterAccess({ context: name, directory, apiserver: status }, environment),
    status,
    invites: createInviteStore(directory),
    drains: createDirectoryDrainStore(directory, environment),
    drainChecker: status,
    readInviter: async () => {
      const profile = await readClusterProfile(directory);
      const { certificate } = await readAuthority(pki);
      return { cluster: profile, joinEndpoints: [profile.joinEndpoint], authority: certificate };
    },
  };
}

function openKubernetesContext(
  context: KubernetesContext,
  environment: AccessEnvironment,
): ContextCluster {
  const { clock } = environment;
  const pod = inPodOf(context, clock);
  const { transport, namespace } = pod;
  const status = createPodStatusReader(pod);
  const inside = createInsideView({ ...pod, clock });
  const cluster = { context: context.name, transport, namespace, apiserver: status, inside };
  return {
    access: openKubernetesAccess(cluster, environment),
    status,
    invites: createKubernetesInviteStore({ transport, namespace, clock }),
    drains: createKubernetesDrainStore({ transport, namespace, clock }),
    drainChecker: createPodDrainChecker(pod),
    readInviter: (signal) => readKubernetesInviter({ transport, namespace }, signal),
  };
}

/** The way into the pods of a context's cluster. */
export function inPodOf(context: KubernetesContext, clock: Clock): InPod {
  const { kubeconfig, kubeContext, namespace = DEFAULT_NAMESPACE } = context;
  const access = { kubeconfig, context: kubeContext };
  return {
    transport: createKubernetesTransport(access, { clock }),
    exec: createPodExec(access, { clock }),
    namespace,
  };
}

function etcdOpener(environment: AccessEnvironment): OpenStore {
  return (options) => {
    const store = createEtcdStore({ ...options, ...environment });
    return { store, close: () => store.close() };
  };
}

// From a context's name to access to its cluster, with the real etcd and the real apiserver
// behind it: the composition that every connecting command needs.
import { createApiserverStatusReader } from "../api/apiserver-client.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { clusterPaths } from "../contexts/cluster-directory.ts";
import { createEtcdStore } from "../kvstore/etcd-store.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { PeerStatusReader } from "./cluster-facts.ts";
import { createDirectoryAccess, type OpenStore } from "./directory-access.ts";

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

function etcdOpener(environment: AccessEnvironment): OpenStore {
  return (options) => {
    const store = createEtcdStore({ ...options, ...environment });
    return { store, close: () => store.close() };
  };
}

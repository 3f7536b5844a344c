// Access to a cluster in a namespace of a Kubernetes API, real or in memory, with an authority of
// its own. What it takes beyond the API, an etcd and an apiserver, is given or not there.
import { systemClock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { ClusterAccess } from "../../mesh/connect/cluster-access.ts";
import type { PeerStatusReader } from "../../mesh/connect/cluster-facts.ts";
import { openKubernetesAccess } from "../../mesh/connect/context-access.ts";
import { secretFromAuthority } from "../../mesh/connect/kubernetes-objects.ts";
import { configMapFromSettings } from "../../mesh/connect/kubernetes-profile.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { createObject, deleteObject, listObjects } from "../../mesh/kubernetes/objects.ts";
import { createCertificateAuthority, type CertificateAuthority } from "../../pki/issue.ts";

const never = new AbortController().signal;

/** An apiserver that is not there. */
export const NO_APISERVER: PeerStatusReader = {
  readPeers: () => Promise.reject(new MeshError("unavailable", "no apiserver runs")),
};

export interface KubernetesCluster {
  readonly name: string;
  readonly namespace: string;
  readonly authority: CertificateAuthority;
  open(apiserver?: PeerStatusReader): ClusterAccess;
  /** Secrets and ConfigMaps as far as they are anybody's but the API server's. */
  contents(): Promise<unknown>;
  /** Removes all peers' Secrets and the readers. */
  empty(): Promise<void>;
}

export async function createKubernetesCluster(options: {
  readonly transport: KubernetesTransport;
  readonly name: string;
  readonly id: number;
  readonly namespace: string;
  readonly etcdEndpoints: readonly string[] | undefined;
  readonly joinEndpoint: string | undefined;
}): Promise<KubernetesCluster> {
  const { transport, name, id, namespace, etcdEndpoints, joinEndpoint } = options;
  const root = `/api/v1/namespaces/${namespace}`;
  const authority = await createCertificateAuthority(name, Date.now());
  const bundle = { authorities: [authority.certificate] };
  const settings = { name, id, maxConnectedClusters: 255, etcdEndpoints, joinEndpoint } as const;
  const create = (collection: string, body: object): Promise<boolean> =>
    createObject(transport, { path: `${root}/${collection}`, body }, never);
  await create("configmaps", configMapFromSettings(settings, namespace));
  await create("secrets", secretFromAuthority({ authority, bundle }, namespace));
  const list = async (): Promise<(readonly [path: string, object: object])[]> => {
    const lists = await Promise.all(
      ["secrets", "configmaps"].map(async (kind) => {
        const objects = await listObjects(transport, `${root}/${kind}`, never);
        return objects.map(
          (object) => [`${root}/${kind}/${object.metadata.name}`, object] as const,
        );
      }),
    );
    return lists.flat();
  };
  return {
    name,
    namespace,
    authority,
    open: (apiserver = NO_APISERVER) =>
      openKubernetesAccess(
        { context: name, transport, namespace, apiserver },
        { clock: systemClock, random: Math.random, log: silentLogger },
      ),
    contents: async () =>
      Object.fromEntries((await list()).map(([path, object]) => [path, authored(object)])),
    empty: async () => {
      for (const [path] of await list()) {
        if (!/tombolo-(peer-.*|readers|invites)$/.test(path)) continue;
        await deleteObject(transport, { path }, never);
      }
    },
  };
}

/** Data, type, labels and annotations. */
function authored(object: object): object {
  const { metadata, data, type } = object as {
    metadata: { labels?: object; annotations?: object };
    data?: object;
    type?: string;
  };
  const { labels = {}, annotations = {} } = metadata;
  return { labels, annotations, data, type };
}

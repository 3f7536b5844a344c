// Remembering what connecting may change of one peer in a Kubernetes cluster, and putting it back:
// the same data, labels and annotations, or no object where there was none.
import { isDeepStrictEqual } from "node:util";
import { READERS_CONFIG_MAP } from "../kubernetes/object-names.ts";
import { readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { updateObject } from "../kubernetes/update-object.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import { peerSecretName } from "./kubernetes-objects.ts";

/** An object as far as it is ours to put back; the rest is the API server's. */
interface Remembered {
  readonly collection: string;
  readonly name: string;
  readonly was: ApiObject | undefined;
}

/** See `ClusterAccess.rememberPeer`. */
export async function rememberPeerObjects(
  options: { transport: KubernetesTransport; namespace: string; peer: string },
  signal: AbortSignal,
): Promise<(signal: AbortSignal) => Promise<void>> {
  const { transport, namespace, peer } = options;
  const root = `/api/v1/namespaces/${namespace}`;
  const objects = [
    { collection: `${root}/secrets`, name: peerSecretName(peer) },
    { collection: `${root}/configmaps`, name: READERS_CONFIG_MAP },
  ];
  const remembered = await Promise.all(
    objects.map(async ({ collection, name }): Promise<Remembered> => {
      const was = await readObject(transport, `${collection}/${name}`, signal);
      return { collection, name, was };
    }),
  );
  return async (restoring) => {
    for (const object of remembered) await putBack(transport, object, restoring);
  };
}

/** Writes only what differs: a watcher must not see a change where there is none. */
async function putBack(
  transport: KubernetesTransport,
  { collection, name, was }: Remembered,
  signal: AbortSignal,
): Promise<void> {
  const change = (current: ApiObject | undefined): ApiObject | undefined => {
    if (was === undefined) return undefined;
    if (current === undefined) return withoutServerFields(was);
    if (isDeepStrictEqual(withoutServerFields(current), withoutServerFields(was))) return current;
    return withoutServerFields(was);
  };
  await updateObject(transport, { collection, name, change }, signal);
}

/** Without what the API server says of an object: it would refuse it, or it differs each time. */
function withoutServerFields(object: ApiObject): ApiObject {
  const {
    uid: _uid,
    resourceVersion: _resourceVersion,
    creationTimestamp: _creationTimestamp,
    generation: _generation,
    managedFields: _managedFields,
    selfLink: _selfLink,
    ...metadata
  } = object.metadata as ApiObject["metadata"] & Readonly<Record<string, unknown>>;
  return { ...object, metadata };
}

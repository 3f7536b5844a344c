// Changing one object that others may change at the same time: read, decide, write under the
// version that was read, and all of it again when somebody was faster.
import { isMeshError, MeshError } from "../core/errors.ts";
import { createObject, deleteObject, readObject, replaceObject } from "./objects.ts";
import type { KubernetesTransport } from "./transport.ts";
import type { ApiObject } from "./watch-state.ts";

/** Who loses as often as this is in the way of something that writes without end. */
export const UPDATE_ATTEMPTS = 8;

/**
 * `change` gets the object, or undefined if there is none, and returns what there should be; the
 * very same value means that nothing is to be done. It may be called more than once. Throws
 * `conflict` when somebody else was faster every time.
 */
export async function updateObject<T extends ApiObject>(
  transport: KubernetesTransport,
  update: {
    /** Path of the collection: "/api/v1/namespaces/NS/secrets". */
    readonly collection: string;
    readonly name: string;
    readonly change: (current: T | undefined) => T | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { collection, name, change } = update;
  const path = `${collection}/${name}`;
  for (let attempt = 1; attempt <= UPDATE_ATTEMPTS; attempt++) {
    const current = await readObject<T>(transport, path, signal);
    const wanted = change(current);
    if (wanted === current) return;
    if (await write(transport, { collection, path, current, wanted }, signal)) return;
  }
  throw new MeshError(
    "conflict",
    `Cannot change ${path}: it was changed by somebody else ${UPDATE_ATTEMPTS} times meanwhile`,
    { hint: "try again; if it goes on, find out what writes that object all the time" },
  );
}

/** Whether it was written; false if somebody was faster. */
async function write<T extends ApiObject>(
  transport: KubernetesTransport,
  objects: { collection: string; path: string; current: T | undefined; wanted: T | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  const { collection, path, current, wanted } = objects;
  try {
    if (wanted === undefined) {
      const { uid } = current?.metadata ?? {};
      await deleteObject(transport, { path, ...(uid === undefined ? {} : { uid }) }, signal);
      return true;
    }
    if (current === undefined) {
      return await createObject(transport, { path: collection, body: wanted }, signal);
    }
    const { resourceVersion } = current.metadata;
    const body = { ...wanted, metadata: { ...wanted.metadata, resourceVersion } };
    await replaceObject(transport, { path, body }, signal);
    return true;
  } catch (error) {
    const goneMeanwhile = current !== undefined && isMeshError(error, "not_found");
    if (goneMeanwhile || isMeshError(error, "conflict")) return false;
    throw error;
  }
}

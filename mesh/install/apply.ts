// Applies manifests in their order and says of each what became of it; removes what an older
// version had and this one has not. Doing it again changes nothing.
import { isMeshError } from "../core/errors.ts";
import { applyObject, deleteObject, listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import {
  collectionPath,
  describeManifest,
  KINDS,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  manifestPath,
  NAMESPACE_LABEL,
  type Manifest,
} from "./manifest.ts";

export interface Change {
  /** "Deployment tombolo-system/tombolo-apiserver" */
  readonly object: string;
  readonly outcome: "created" | "changed" | "unchanged" | "removed";
}

export interface ApplyOptions {
  /** Ask the server what would change, and change nothing. */
  readonly dryRun?: boolean;
  readonly onChange?: (change: Change) => void;
}

export async function applyManifests(
  transport: KubernetesTransport,
  {
    manifests,
    dryRun = false,
    onChange,
  }: ApplyOptions & { readonly manifests: readonly Manifest[] },
  signal: AbortSignal,
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const manifest of manifests) {
    const path = manifestPath(manifest);
    const before = await readObject<ApiObject>(transport, path, signal);
    // A dry run in a namespace that is not there yet would be refused.
    const after =
      dryRun && before === undefined
        ? undefined
        : await applyObject<ApiObject>(transport, { path, body: manifest, dryRun }, signal);
    const change: Change = { object: describeManifest(manifest), outcome: outcome(before, after) };
    changes.push(change);
    onChange?.(change);
  }
  return changes;
}

/** Deletes our objects that are not among the manifests: those of an older version. */
export async function pruneObjects(
  transport: KubernetesTransport,
  options: ApplyOptions & { readonly namespace: string; readonly manifests: readonly Manifest[] },
  signal: AbortSignal,
): Promise<Change[]> {
  const { namespace, manifests, dryRun = false, onChange } = options;
  // Without the version: one object is served under two.
  const wanted = new Set(manifests.map(describeManifest));
  const seen = new Set<string>();
  const changes: Change[] = [];
  for (const found of await listManagedObjects(transport, namespace, signal)) {
    const object = describeManifest(found);
    if (wanted.has(object) || seen.has(object)) continue;
    seen.add(object);
    if (!dryRun) await deleteObject(transport, { path: manifestPath(found) }, signal);
    const change: Change = { object, outcome: "removed" };
    changes.push(change);
    onChange?.(change);
  }
  return changes;
}

/** Every object that `mesh install` has made for the installation in a namespace. */
export async function listManagedObjects(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<Manifest[]> {
  const found: Manifest[] = [];
  for (const kind of KINDS) {
    const ours = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;
    const selector = kind.namespaced ? ours : `${ours},${NAMESPACE_LABEL}=${namespace}`;
    const path = collectionPath(kind, kind.namespaced ? namespace : undefined);
    const query = `?labelSelector=${encodeURIComponent(selector)}`;
    try {
      const objects = await listObjects<ApiObject>(transport, `${path}${query}`, signal);
      const { apiVersion, kind: name } = kind;
      found.push(...objects.map(({ metadata }) => ({ apiVersion, kind: name, metadata })));
    } catch (error) {
      // A version of the kind that this server does not serve.
      if (!isMeshError(error, "not_found")) throw error;
    }
  }
  return found;
}

function outcome(before: ApiObject | undefined, after: ApiObject | undefined): Change["outcome"] {
  if (before === undefined) return "created";
  return content(before) === content(after ?? before) ? "unchanged" : "changed";
}

/** An object without what the server keeps about it. */
function content(object: ApiObject): string {
  const { metadata, ...rest } = object as ApiObject & Record<string, unknown>;
  const kept = { ...metadata } as Record<string, unknown>;
  for (const field of ["managedFields", "resourceVersion", "generation"]) delete kept[field];
  delete (rest as Record<string, unknown>)["status"];
  return JSON.stringify({ metadata: kept, ...rest });
}

// Single objects of a Kubernetes API by their path: read, create, apply, replace, delete. Paths
// are whole ("/api/v1/namespaces/NS/secrets/NAME"), so nothing here knows a kind.
import { isApiObject, malformed, readJson, readPage, refused, withQuery } from "./api-calls.ts";
import type { KubernetesTransport } from "./transport.ts";
import type { ApiObject } from "./watch-state.ts";

/** Under which server-side apply remembers who set which field (KEP-555). */
export const FIELD_MANAGER = "tombolo";
const APPLY_PATCH = "application/apply-patch+yaml";
const PAGE_SIZE = 500;
const NOT_FOUND = 404;
const CONFLICT = 409;

/** Returns undefined if there is no such object. */
export async function readObject<T extends ApiObject>(
  transport: KubernetesTransport,
  path: string,
  signal: AbortSignal,
): Promise<T | undefined> {
  const response = await transport.send({ path }, signal);
  const body = await readJson(response);
  if (response.status === NOT_FOUND) return undefined;
  return objectOrThrow<T>(body, { doing: `read ${path}`, status: response.status });
}

/** All objects of a path, which may carry a selector as its query. */
export async function listObjects<T extends ApiObject>(
  transport: KubernetesTransport,
  path: string,
  signal: AbortSignal,
): Promise<T[]> {
  const objects: T[] = [];
  let continueToken = "";
  do {
    const page = await readPage(transport, { path, pageSize: PAGE_SIZE, continueToken }, signal);
    objects.push(...(page.items as T[]));
    continueToken = page.continueToken;
  } while (continueToken !== "");
  return objects;
}

/** Creates an object. Returns whether it was not there yet; one that is there is left as it is. */
export async function createObject(
  transport: KubernetesTransport,
  { path, body }: { path: string; body: object },
  signal: AbortSignal,
): Promise<boolean> {
  const response = await transport.send({ method: "POST", path, body }, signal);
  const answer = await readJson(response);
  if (response.status === CONFLICT) return false;
  if (response.status >= 300) throw refused(`create in ${path}`, response.status, answer);
  return true;
}

/** Server-side apply, KEP-555: makes what is missing, changes the fields that the body names. */
export async function applyObject<T extends ApiObject>(
  transport: KubernetesTransport,
  apply: {
    readonly path: string;
    readonly body: object;
    /** The server checks and answers, and changes nothing. */
    readonly dryRun?: boolean;
  },
  signal: AbortSignal,
): Promise<T> {
  const query = new URLSearchParams({ fieldManager: FIELD_MANAGER, force: "true" });
  if (apply.dryRun === true) query.set("dryRun", "All");
  const response = await transport.send(
    {
      method: "PATCH",
      path: withQuery(apply.path, query),
      body: apply.body,
      contentType: APPLY_PATCH,
    },
    signal,
  );
  const answer = await readJson(response);
  return objectOrThrow<T>(answer, { doing: `apply ${apply.path}`, status: response.status });
}

/** Throws `conflict` if the body's resource version is not the object's any more. */
export async function replaceObject<T extends ApiObject>(
  transport: KubernetesTransport,
  { path, body }: { path: string; body: object },
  signal: AbortSignal,
): Promise<T> {
  const response = await transport.send({ method: "PUT", path, body }, signal);
  const answer = await readJson(response);
  return objectOrThrow<T>(answer, { doing: `replace ${path}`, status: response.status });
}

/** Returns whether there was such an object. Throws `conflict` if it has another uid. */
export async function deleteObject(
  transport: KubernetesTransport,
  deletion: {
    readonly path: string;
    readonly uid?: string;
    /** What becomes of what it owns; in the background if left out. */
    readonly propagation?: "Foreground" | "Background" | "Orphan";
  },
  signal: AbortSignal,
): Promise<boolean> {
  const { path, uid, propagation = "Background" } = deletion;
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: propagation,
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
  const response = await transport.send({ method: "DELETE", path, body }, signal);
  const answer = await readJson(response);
  if (response.status === NOT_FOUND) return false;
  if (response.status >= 300) throw refused(`delete ${path}`, response.status, answer);
  return true;
}

function objectOrThrow<T extends ApiObject>(
  body: unknown,
  { doing, status }: { doing: string; status: number },
): T {
  if (status >= 300) throw refused(doing, status, body);
  if (!isApiObject(body)) throw malformed(`answer to "${doing}"`);
  return body as T;
}

// The three questions by which a Kubernetes API is followed: which versions of a group there are, a
// page of a list, and a watch from a version. Answers are checked as far as they are used; single
// objects are objects.ts's.
import { isMeshError, MeshError } from "../core/errors.ts";
import { createLineParser } from "./line-parser.ts";
import type { ApiResponse, KubernetesTransport } from "./transport.ts";
import type { ApiObject, WatchInput } from "./watch-state.ts";

/** etcd takes at most 1.5 MB for an object; its JSON is a few times larger at worst. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;
/** A page of 500 of the largest objects there are would not fit; of common ones 50,000 do. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
const GONE = 410;
const NOT_FOUND = 404;
const CONFLICT = 409;
const UNAUTHORIZED = 401;
const BAD_REQUEST = 400;
const INVALID = 422;
const VERSION_TOO_LARGE = "ResourceVersionTooLarge";

type Page = Extract<WatchInput, { kind: "page" }>;
type WatchEvent = Extract<WatchInput, { kind: "event" }>;

/** Versions of an API group that the server serves, `[]` if it has no such group. */
export async function readGroupVersions(
  transport: KubernetesTransport,
  group: string,
  signal: AbortSignal,
): Promise<string[]> {
  const response = await transport.send({ path: `/apis/${group}` }, signal);
  const body = await readJson(response);
  if (response.status === NOT_FOUND) return [];
  if (response.status !== 200) throw refused(`read API group ${group}`, response.status, body);
  const versions = isObject(body) ? body["versions"] : undefined;
  if (!Array.isArray(versions)) throw malformed(`API group ${group}`);
  return versions.flatMap((item: unknown) =>
    isObject(item) && typeof item["version"] === "string" ? [item["version"]] : [],
  );
}

/** Throws `compacted` when the list that the token continues is not kept any more. */
export async function readPage(
  transport: KubernetesTransport,
  list: { path: string; pageSize: number; continueToken: string },
  signal: AbortSignal,
): Promise<Page> {
  const query = new URLSearchParams({ limit: String(list.pageSize) });
  if (list.continueToken !== "") query.set("continue", list.continueToken);
  const response = await transport.send({ path: withQuery(list.path, query) }, signal);
  const body = await readJson(response);
  if (response.status !== 200) throw refused(`list ${list.path}`, response.status, body);
  const items = isObject(body) ? body["items"] : undefined;
  const metadata = isObject(body) ? body["metadata"] : undefined;
  if (!isObject(metadata)) throw malformed(`list ${list.path}`);
  const { resourceVersion, continue: continueToken = "" } = metadata;
  // An empty list of a version of old is `null`.
  const objects: unknown = items ?? [];
  const valid =
    typeof resourceVersion === "string" &&
    typeof continueToken === "string" &&
    Array.isArray(objects) &&
    objects.every(isApiObject);
  if (!valid) throw malformed(`list ${list.path}`);
  return { kind: "page", items: objects, resourceVersion, continueToken };
}

/**
 * Resolves when the server has taken the watch; the events end when it ends them. Both may throw
 * `compacted` when the version is not kept any more.
 */
export async function openWatch(
  transport: KubernetesTransport,
  watch: { path: string; resourceVersion: string; seconds: number },
  signal: AbortSignal,
): Promise<AsyncIterable<WatchEvent>> {
  const query = new URLSearchParams({
    watch: "1",
    allowWatchBookmarks: "true",
    resourceVersion: watch.resourceVersion,
    timeoutSeconds: String(watch.seconds),
  });
  const response = await transport.send({ path: withQuery(watch.path, query) }, signal);
  if (response.status !== 200) {
    throw refused(`watch ${watch.path}`, response.status, await readJson(response));
  }
  return eventsOf(response, watch.path);
}

/** A path may come with a query of its own: a selector. */
export function withQuery(path: string, query: URLSearchParams): string {
  return `${path}${path.includes("?") ? "&" : "?"}${query.toString()}`;
}

async function* eventsOf(response: ApiResponse, path: string): AsyncGenerator<WatchEvent> {
  const parser = createLineParser({ maxBytes: MAX_LINE_BYTES });
  for await (const chunk of chunksOf(response)) {
    for (const line of parser.push(chunk)) yield parseEvent(line, path);
  }
}

function parseEvent(line: string, path: string): WatchEvent {
  const event = parseJson(line);
  const type = isObject(event) ? event["type"] : undefined;
  const object = isObject(event) ? event["object"] : undefined;
  if (type === "ERROR") {
    const code = isObject(object) && typeof object["code"] === "number" ? object["code"] : 500;
    throw refused(`watch ${path}`, code, object);
  }
  const known =
    type === "ADDED" || type === "MODIFIED" || type === "DELETED" || type === "BOOKMARK";
  // A bookmark has no name: it stands for no object.
  const valid = type === "BOOKMARK" ? hasMetadata(object) : isApiObject(object);
  if (!known || !valid) throw malformed(`event of ${path}`);
  return { kind: "event", type, object: object as ApiObject };
}

export function refused(doing: string, status: number, body: unknown): MeshError {
  const said = isObject(body) && typeof body["message"] === "string" ? body["message"] : "";
  const message = `Cannot ${doing}: the API server answers ${status}${said && `, ${said}`}`;
  if (status === UNAUTHORIZED) {
    const why = "the token or certificate has expired, was taken back, or is for another cluster";
    return new MeshError("unauthenticated", `${message}: ${why}`);
  }
  if (status === 403) return new MeshError("permission_denied", message);
  if (status === NOT_FOUND) return new MeshError("not_found", message);
  if (status === CONFLICT) return new MeshError("conflict", message);
  if (status === INVALID || status === BAD_REQUEST) {
    return new MeshError("invalid_argument", message);
  }
  if (status === GONE) return new MeshError("compacted", message);
  if (isFromFuture(body)) return new MeshError("cluster_changed", message);
  return new MeshError("unavailable", message);
}

/** The server has not come as far as the version that was asked for: it has another past. */
function isFromFuture(body: unknown): boolean {
  const details = isObject(body) ? body["details"] : undefined;
  const causes = isObject(details) ? details["causes"] : undefined;
  const reasons = Array.isArray(causes) ? (causes as unknown[]) : [];
  return reasons.some((cause) => isObject(cause) && cause["reason"] === VERSION_TOO_LARGE);
}

export function malformed(what: string): MeshError {
  return new MeshError("data_loss", `Cannot use the API server's ${what}: it is malformed`);
}

export async function readJson(response: ApiResponse): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunksOf(response)) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new MeshError(
        "resource_exhausted",
        `Cannot read the API server's answer: it is longer than ${MAX_BODY_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  // Proxies in between explain themselves in HTML.
  return response.status === 200 ? parseJson(text) : parseJsonOr(text);
}

async function* chunksOf(response: ApiResponse): AsyncGenerator<Uint8Array> {
  try {
    yield* response.body;
  } catch (cause) {
    if (isMeshError(cause)) throw cause;
    throw new MeshError("unavailable", "Cannot read the API server's answer: it was cut off", {
      cause,
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MeshError("data_loss", "Cannot parse the API server's answer", { cause });
  }
}

function parseJsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The status says enough.
  }
}

export function isApiObject(value: unknown): value is ApiObject {
  return hasMetadata(value) && typeof value.metadata["name"] === "string";
}

function hasMetadata(value: unknown): value is { metadata: Record<string, unknown> } {
  return isObject(value) && isObject(value["metadata"]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

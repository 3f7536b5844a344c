// A Kubernetes API in memory: objects by their path with resource versions, conflicts and label
// selectors. No watches, no validation. It passes the contract of cluster access with the real one.
import { randomUUID } from "node:crypto";
import type { ApiRequest, KubernetesTransport } from "../../mesh/kubernetes/transport.ts";

interface StoredObject {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
}

export interface MemoryKubernetes extends KubernetesTransport {
  /** By path. */
  readonly objects: Map<string, StoredObject>;
  /** How many writes were sent, refused ones too. */
  readonly writes: () => number;
  put(collection: string, object: object): void;
  /** Called before each request is answered: a test's chance to interfere. */
  before: (request: ApiRequest) => void;
}

export function createMemoryKubernetes(): MemoryKubernetes {
  const objects = new Map<string, StoredObject>();
  let version = 0;
  let writes = 0;

  function stored(object: object, uid: unknown = randomUUID()): StoredObject {
    const given = structuredClone(object) as StoredObject;
    const metadata = { ...given.metadata, uid, resourceVersion: String(++version) };
    return { ...given, metadata };
  }

  function answer(request: ApiRequest): [status: number, body: object] {
    const url = new URL(request.path, "https://memory");
    const path = url.pathname;
    const current = objects.get(path);
    switch (request.method ?? "GET") {
      case "GET":
        if (/\/(secrets|configmaps|nodes|pods|leases)$/.test(path)) {
          return [200, list(path, url.searchParams)];
        }
        return current === undefined ? [404, {}] : [200, current];
      case "POST": {
        const body = request.body as StoredObject;
        const created = `${path}/${body.metadata.name}`;
        if (objects.has(created)) return [409, { message: "it exists" }];
        objects.set(created, stored(body));
        return [201, objects.get(created) ?? {}];
      }
      case "PUT": {
        const body = request.body as StoredObject;
        if (current === undefined) return [404, {}];
        const wanted = body.metadata["resourceVersion"];
        if (wanted !== undefined && wanted !== current.metadata["resourceVersion"]) {
          return [409, { message: "the object has been modified" }];
        }
        objects.set(path, stored(body, current.metadata["uid"]));
        return [200, objects.get(path) ?? {}];
      }
      case "DELETE": {
        const body = request.body as { preconditions?: { uid?: string } } | undefined;
        if (current === undefined) return [404, {}];
        const uid = body?.preconditions?.uid;
        if (uid !== undefined && uid !== current.metadata["uid"]) return [409, {}];
        objects.delete(path);
        return [200, {}];
      }
      case "PATCH":
        return [405, {}];
    }
  }

  function list(collection: string, query: URLSearchParams): object {
    const [label, value] = (query.get("labelSelector") ?? "").split("=");
    const items = [...objects]
      .filter(([path]) => path.startsWith(`${collection}/`))
      .map(([, object]) => object)
      .filter(({ metadata }) => {
        if (label === undefined || label === "") return true;
        const found = (metadata["labels"] as Record<string, string> | undefined)?.[label];
        return value === undefined ? found !== undefined : found === value;
      });
    return { metadata: { resourceVersion: String(version) }, items };
  }

  const memory: MemoryKubernetes = {
    objects,
    server: "https://memory",
    writes: () => writes,
    put: (collection, object) => {
      const kept = stored(object);
      objects.set(`${collection}/${kept.metadata.name}`, kept);
    },
    before: () => {},
    send: async (request) => {
      memory.before(request);
      if (request.method !== undefined && request.method !== "GET") writes++;
      const [status, body] = answer(request);
      return { status, body: once(Buffer.from(JSON.stringify(body))) };
    },
  };
  return memory;
}

async function* once(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

// Single objects by their path: what is asked of the server, and what its answers mean.
import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import {
  applyObject,
  createObject,
  deleteObject,
  listObjects,
  readObject,
  replaceObject,
} from "../../../../mesh/kubernetes/objects.ts";
import { createFakeTransport } from "../../../fakes/kubernetes-transport.ts";

const never = new AbortController().signal;
const SECRETS = "/api/v1/namespaces/mesh/secrets";
const PATH = `${SECRETS}/a`;
const OBJECT = { metadata: { name: "a", resourceVersion: "7" } };

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: unknown) => (error instanceof MeshError ? error.code : String(error)),
  );

describe("readObject", () => {
  test("returns the object, or undefined if there is none", async () => {
    const transport = createFakeTransport();
    transport.answer(200, OBJECT);
    transport.answer(404, { message: "not found" });
    expect(await readObject(transport, PATH, never)).toEqual(OBJECT);
    expect(await readObject(transport, PATH, never)).toBeUndefined();
    expect(transport.requests.map(({ path }) => path)).toEqual([PATH, PATH]);
  });

  test.each([
    { status: 403, body: { message: "no" }, code: "permission_denied" },
    { status: 401, body: {}, code: "unauthenticated" },
    { status: 200, body: { kind: "Secret" }, code: "data_loss" },
  ])("throws $code for $status", async ({ status, body, code }) => {
    const transport = createFakeTransport();
    transport.answer(status, body);
    expect(await codeOf(readObject(transport, PATH, never))).toBe(code);
  });
});

describe("listObjects", () => {
  test("reads to the last page and keeps the selector", async () => {
    const transport = createFakeTransport();
    const page = (name: string, rest: string): object => ({
      metadata: { resourceVersion: "9", continue: rest },
      items: [{ metadata: { name } }],
    });
    transport.answer(200, page("a", "more"));
    transport.answer(200, page("b", ""));
    const objects = await listObjects(transport, `${SECRETS}?labelSelector=x`, never);
    expect(objects.map(({ metadata }) => metadata.name)).toEqual(["a", "b"]);
    const asked = transport.requests.map(({ query }) => Object.fromEntries(query));
    expect(asked).toEqual([
      { labelSelector: "x", limit: "500" },
      { labelSelector: "x", limit: "500", continue: "more" },
    ]);
  });
});

describe("createObject", () => {
  test("tells whether the object is new", async () => {
    const transport = createFakeTransport();
    transport.answer(201, OBJECT);
    transport.answer(409, {});
    const creation = { path: SECRETS, body: OBJECT };
    expect(await createObject(transport, creation, never)).toBe(true);
    expect(await createObject(transport, creation, never)).toBe(false);
    expect(transport.requests[0]).toMatchObject({ method: "POST", path: SECRETS, body: OBJECT });
  });

  test("throws what the server says", async () => {
    const transport = createFakeTransport();
    transport.answer(403, { message: "quota" });
    await expect(createObject(transport, { path: SECRETS, body: OBJECT }, never)).rejects.toThrow(
      "quota",
    );
  });
});

describe("applyObject", () => {
  test("is a server-side apply under our name, and a trial if asked", async () => {
    const transport = createFakeTransport();
    transport.answer(200, OBJECT);
    transport.answer(200, OBJECT);
    await applyObject(transport, { path: PATH, body: OBJECT }, never);
    await applyObject(transport, { path: PATH, body: OBJECT, dryRun: true }, never);
    const [first, second] = transport.requests;
    expect(first).toMatchObject({ method: "PATCH", contentType: "application/apply-patch+yaml" });
    expect(Object.fromEntries(first?.query ?? [])).toEqual({
      fieldManager: "tombolo",
      force: "true",
    });
    expect(second?.query.get("dryRun")).toBe("All");
  });
});

describe("replaceObject", () => {
  test("throws conflict for a version that is not the object's any more", async () => {
    const transport = createFakeTransport();
    transport.answer(200, OBJECT);
    transport.answer(409, { message: "modified" });
    const replacement = { path: PATH, body: OBJECT };
    expect(await replaceObject(transport, replacement, never)).toEqual(OBJECT);
    expect(await codeOf(replaceObject(transport, replacement, never))).toBe("conflict");
    expect(transport.requests[0]).toMatchObject({ method: "PUT", path: PATH, body: OBJECT });
  });
});

describe("deleteObject", () => {
  test("tells whether there was one, and spares one of another uid", async () => {
    const transport = createFakeTransport();
    transport.answer(200, { status: "Success" });
    transport.answer(404, {});
    transport.answer(409, { message: "uid" });
    expect(await deleteObject(transport, { path: PATH, uid: "u" }, never)).toBe(true);
    expect(await deleteObject(transport, { path: PATH, propagation: "Orphan" }, never)).toBe(false);
    expect(await codeOf(deleteObject(transport, { path: PATH, uid: "v" }, never))).toBe("conflict");
    expect(transport.requests.map(({ body }) => body)).toMatchObject([
      { propagationPolicy: "Background", preconditions: { uid: "u" } },
      { propagationPolicy: "Orphan" },
      { preconditions: { uid: "v" } },
    ]);
  });
});

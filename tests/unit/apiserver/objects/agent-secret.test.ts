import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  planAgentSecret,
  readAgentCredentials,
  writeAgentSecret,
  type AgentCredentials,
} from "../../../../apiserver/objects/agent-secret.ts";
import { initialisePki } from "../../../../pki/files.ts";
import { createFakeTransport } from "../../../fakes/kubernetes-transport.ts";

const never = new AbortController().signal;
const NAMESPACE = "mesh";

let pki: string;
let credentials: AgentCredentials;

beforeAll(async () => {
  pki = await mkdtemp(join(tmpdir(), "tombolo-agent-secret-"));
  await initialisePki(pki, { cluster: "east", nowMs: Date.UTC(2026, 0, 1) });
  credentials = await readAgentCredentials(pki);
}, 60_000);

afterAll(() => rm(pki, { recursive: true, force: true }));

describe("planAgentSecret()", () => {
  test("makes one of bundle, certificate and key, and nothing else", () => {
    const secret = planAgentSecret(undefined, { credentials, namespace: NAMESPACE });
    expect(secret?.metadata).toEqual({ name: "tombolo-agent", namespace: NAMESPACE });
    expect(Object.keys(secret?.data ?? {})).toEqual(["ca-bundle.crt", "local.crt", "local.key"]);
  });

  test("leaves one that is right", () => {
    const current = { metadata: { name: "tombolo-agent" }, data: credentials.data };
    expect(planAgentSecret(current, { credentials, namespace: NAMESPACE })).toBeUndefined();
  });

  test.each([
    ["damaged", { "local.crt": "AAAA" }],
    ["added to", { more: "AAAA" }],
  ])("sets right one that was %s, and keeps labels and type", (_, change) => {
    const metadata = { name: "tombolo-agent", resourceVersion: "7", labels: { team: "net" } };
    const data = { ...credentials.data, ...change };
    const current = { metadata, type: "example.com/own", data };
    const secret = planAgentSecret(current, { credentials, namespace: NAMESPACE });
    expect(secret).toMatchObject({ metadata, type: "example.com/own", data: credentials.data });
    expect(Object.keys(secret?.data ?? {})).toHaveLength(3);
  });
});

describe("writeAgentSecret()", () => {
  test("replaces a version that is known, and creates otherwise", async () => {
    const transport = createFakeTransport();
    const path = "/api/v1/namespaces/mesh/secrets";
    const known = { metadata: { name: "tombolo-agent", resourceVersion: "7" } };
    transport.answer(200, { metadata: { name: "tombolo-agent", resourceVersion: "8" } });
    const written = await writeAgentSecret(transport, { body: known, namespace: NAMESPACE }, never);
    expect(written?.metadata.resourceVersion).toBe("8");
    transport.answer(409, {});
    const body = { metadata: { name: "tombolo-agent" } };
    expect(
      await writeAgentSecret(transport, { body, namespace: NAMESPACE }, never),
    ).toBeUndefined();
    expect(transport.requests.map((request) => [request.method, request.path])).toEqual([
      ["PUT", `${path}/tombolo-agent`],
      ["POST", path],
    ]);
  });
});

// How a real API server is shown who we are: every kind of credentials that people have, and one
// clear sentence for each that does not work.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../mesh/core/clock.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { KubernetesAccess } from "../../mesh/kubernetes/kubeconfig.ts";
import { listObjects } from "../../mesh/kubernetes/objects.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { eventually } from "../fakes/eventually.ts";
import { ADMIN_TOKEN, startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { startTcpProxy } from "../fakes/proxy.ts";
import { follow } from "./follower.ts";

const LIMIT_MS = 300_000;
const NAMESPACES = "/api/v1/namespaces";
const never = new AbortController().signal;

let kubernetes: TestKubernetes;
let directory: string;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  directory = await mkdtemp(join(tmpdir(), "tombolo-credentials-"));
}, LIMIT_MS);
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await kubernetes?.close();
});

const transportOf = (access: KubernetesAccess) =>
  createKubernetesTransport(access, { clock: systemClock });

/** The names of all namespaces, or why not. */
async function ask(access: KubernetesAccess): Promise<string> {
  try {
    const objects = await listObjects(transportOf(access), NAMESPACES, never);
    return objects.map(({ metadata }) => metadata.name).join(" ");
  } catch (error) {
    return messageFromError(error);
  }
}

async function file(name: string, text: string, mode = 0o600): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text, { mode });
  return path;
}

/** A credential plugin that says what stands in a file, and counts how often it is asked. */
async function writePlugin(name: string, token: string): Promise<{ exec: object; asked: string }> {
  const asked = join(directory, `${name}.asked`);
  await file(`${name}.token`, token);
  const command = await file(
    name,
    `#!/bin/sh
echo >>"${asked}"
case $KUBERNETES_EXEC_INFO in *ExecCredential*) ;; *) echo "not told what to say" >&2; exit 1 ;; esac
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat "${join(directory, name)}.token")"
`,
    0o700,
  );
  const apiVersion = "client.authentication.k8s.io/v1";
  return { exec: { apiVersion, command, interactiveMode: "Never" }, asked };
}

describe("credentials that a real API server believes", () => {
  test("client certificates, in the kubeconfig or in files beside it", async () => {
    const { certificate, privateKey } = kubernetes.issueCertificate();
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const inline = await kubernetes.writeUserKubeconfig({
      "client-certificate-data": base64(certificate),
      "client-key-data": base64(privateKey),
    });
    expect(await ask({ kubeconfig: inline })).toContain("default");
    const files = await kubernetes.writeUserKubeconfig({
      "client-certificate": await file("client.crt", certificate),
      "client-key": await file("client.key", privateKey),
    });
    expect(await ask({ kubeconfig: files })).toContain("default");
  });

  test("a plugin, which is run once for all kinds, and again when its token is refused", async () => {
    const { exec, asked } = await writePlugin("plugin", "wrong");
    const kubeconfig = await kubernetes.writeUserKubeconfig({ exec });
    const { source, synced, stop } = follow({ kubeconfig });
    stops.push(stop);
    const runs = async (): Promise<number> => (await readFile(asked, "utf8")).length;
    await eventually(() => source.status().problems.length > 0);
    expect(source.status().problems[0]?.message).toContain("has expired, was taken back");
    await file("plugin.token", ADMIN_TOKEN);
    await eventually(() => synced() && source.status().problems.length === 0, {
      limitMs: 60_000,
    });
    const before = await runs();
    await eventually(async () => (await kubernetes.call({ path: "/readyz" })) === "ok");
    await Promise.all(Array.from({ length: 10 }, () => ask({ kubeconfig })));
    // Each of the ten asked once for itself; the source, which has a token, did not.
    expect(await runs()).toBe(before + 10);
  });

  test("the service account of a pod", async () => {
    const root = join(directory, "pod");
    const account = join(root, "var/run/secrets/kubernetes.io/serviceaccount");
    await mkdir(account, { recursive: true });
    await writeFile(join(account, "ca.crt"), kubernetes.ca);
    await writeFile(join(account, "token"), `${ADMIN_TOKEN}\n`);
    await writeFile(join(account, "namespace"), "default");
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
    process.env["KUBERNETES_SERVICE_HOST"] = "127.0.0.1";
    process.env["KUBERNETES_SERVICE_PORT"] = String(kubernetes.port);
    try {
      const access = { kubeconfig: "in-cluster", root };
      const transport = transportOf(access);
      expect(await listObjects(transport, NAMESPACES, never)).not.toEqual([]);
      // The kubelet replaces the token; the old one stops to be good.
      await writeFile(join(account, "token"), "stale");
      expect(await ask(access)).toContain("answers 401");
      expect(await listObjects(transport, NAMESPACES, never)).not.toEqual([]);
    } finally {
      for (const [name, value] of Object.entries({
        KUBERNETES_SERVICE_HOST: host,
        KUBERNETES_SERVICE_PORT: port,
      })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  test("one of several contexts of one file", async () => {
    const fields = {
      contexts: [
        { name: "east", context: { cluster: "test", user: "admin" } },
        { name: "west", context: { cluster: "elsewhere", user: "admin" } },
      ],
      "current-context": "west",
    };
    const kubeconfig = await kubernetes.writeUserKubeconfig({ token: ADMIN_TOKEN }, fields);
    expect(await ask({ kubeconfig, context: "east" })).toContain("default");
    expect(await ask({ kubeconfig })).toBe(
      `Cannot use context "west" of kubeconfig "${kubeconfig}": the file has no cluster "elsewhere"`,
    );
  });

  test("connections are used again", async () => {
    const proxy = await startTcpProxy({ targetPort: kubernetes.port });
    stops.push(() => proxy.close());
    const { path } = await kubernetes.writeKubeconfig({ port: proxy.port });
    const transport = transportOf({ kubeconfig: path });
    for (let i = 0; i < 20; i++) await listObjects(transport, NAMESPACES, never);
    expect(proxy.accepted).toBe(1);
    // One that the other side has closed in the meantime is no reason to fail.
    proxy.cut();
    expect(await listObjects(transport, NAMESPACES, never)).not.toEqual([]);
  });
});

describe("credentials that do not work", () => {
  const token = { token: ADMIN_TOKEN };

  test.each([
    [
      "an expired token",
      { token: "gone" },
      {},
      /^Cannot list \/api\/v1\/namespaces: the API server answers 401, Unauthorized: the token or certificate has expired, was taken back, or is for another cluster$/,
    ],
    [
      "an authority that is not the server's",
      token,
      { "certificate-authority-data": "OTHER" },
      /^Cannot trust the certificate of the API server "https:.*", want the authority that signed it/,
    ],
    [
      "an authority that is garbage",
      token,
      { "certificate-authority-data": Buffer.from("garbage").toString("base64") },
      /^Cannot (use the certificates for|trust the certificate of) the API server/,
    ],
    [
      "a client certificate that is garbage",
      { "client-certificate-data": "AAAA", "client-key-data": "AAAA" },
      {},
      /^Cannot use the certificates for the API server "https:.*", want PEM/,
    ],
    [
      "a server that is not there",
      token,
      { server: "https://127.0.0.1:1" },
      /^Cannot reach the API server "https:\/\/127.0.0.1:1": (Error: )?connect ECONNREFUSED/,
    ],
    [
      "a server that is no URL",
      token,
      { server: "east:six" },
      /^Cannot find the API server: "east:six" is no URL of HTTPS$/,
    ],
    [
      "a file of a token that is not there",
      { tokenFile: "/nowhere/token" },
      {},
      /^Cannot read the credentials of user "admin": (Error: )?ENOENT.*\/nowhere\/token/,
    ],
    [
      "a plugin that is not there",
      { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "no-such-plugin" } },
      {},
      /^Cannot read the credentials of user "admin": (Error: )?spawn no-such-plugin ENOENT$/,
    ],
    [
      "a plugin that fails",
      {
        exec: {
          apiVersion: "client.authentication.k8s.io/v1",
          command: "sh",
          args: ["-c", "echo you are not logged in >&2; exit 1"],
        },
      },
      {},
      /^Cannot read the credentials of user "admin": you are not logged in/,
    ],
  ])("%s", async (_, user, changes, said) => {
    const other = kubernetes.issueCertificate().certificate;
    const cluster = {
      server: `https://127.0.0.1:${kubernetes.port}`,
      "certificate-authority-data": kubernetes.ca.toString("base64"),
      ...changes,
    };
    if (cluster["certificate-authority-data"] === "OTHER") {
      cluster["certificate-authority-data"] = Buffer.from(other).toString("base64");
    }
    const kubeconfig = await kubernetes.writeUserKubeconfig(user, {
      clusters: [{ name: "test", cluster }],
    });
    expect(await ask({ kubeconfig })).toMatch(said);
  });

  test("a context that the file does not have, and a file that is not there", async () => {
    const kubeconfig = await kubernetes.writeUserKubeconfig(token);
    expect(await ask({ kubeconfig, context: "south" })).toBe(
      `Cannot use context "south" of kubeconfig "${kubeconfig}": want one of test`,
    );
    expect(await ask({ kubeconfig: "/nowhere/config" })).toMatch(
      /^Cannot read kubeconfig "\/nowhere\/config": (Error: )?ENOENT/,
    );
  });
});

describe("rotation", () => {
  test(
    "goes on with the new token after the old one was taken back",
    async () => {
      const { path, tokenFile } = await kubernetes.writeKubeconfig({ token: "token-one" });
      await kubernetes.kill();
      await kubernetes.restart({ tokens: ["token-one"] });
      const { source, synced, stop } = follow({ kubeconfig: path });
      stops.push(stop);
      await eventually(synced, { limitMs: 60_000 });

      await kubernetes.kill();
      await kubernetes.restart({ tokens: ["token-two"] });
      await eventually(
        () => source.status().problems.some(({ message }) => message.includes("401")),
        { what: "the old token is refused", limitMs: 90_000 },
      );
      await writeFile(tokenFile, "token-two\n");
      await eventually(() => source.status().problems.length === 0, {
        what: "every kind is followed again",
        limitMs: 120_000,
      });
    },
    LIMIT_MS,
  );
});

// A real kube-apiserver for tests, on an etcd of its own, both on loopback with ports of their
// own; it can be killed and started again. Not a fake; it stands here because tests stand on it.
import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, startTestEtcd, type TestEtcd } from "./etcd.ts";
import { eventually } from "./eventually.ts";

export interface TestKubernetes {
  readonly port: number;
  readonly etcd: TestEtcd;
  /** A kubeconfig whose user has its token in a file, so that it can be rotated. */
  writeKubeconfig(options?: { port?: number; token?: string }): Promise<KubeconfigFiles>;
  /** One request as administrator; rejects for a status of 300 and more other than in `allow`. */
  call<T = unknown>(call: ApiCall): Promise<T>;
  /** SIGKILL, and gone when this resolves. */
  kill(): Promise<void>;
  /** Starts it again with the same data, at the same port, knowing `tokens` besides. */
  restart(options?: { tokens?: readonly string[] }): Promise<void>;
  close(): Promise<void>;
}

export interface KubeconfigFiles {
  readonly path: string;
  readonly tokenFile: string;
}

export interface ApiCall {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: object;
  readonly allow?: readonly number[];
}

export const ADMIN_TOKEN = "test-admin";
/** It takes some ten seconds on an idle machine. */
const START_LIMIT_MS = 90_000;
const CALL_LIMIT_MS = 20_000;

export async function startTestKubernetes(): Promise<TestKubernetes> {
  const binary = join(process.env["KUBEBUILDER_ASSETS"] ?? "", "kube-apiserver");
  const directory = await mkdtemp(join(tmpdir(), "tombolo-kube-"));
  const etcd = await startTestEtcd();
  const [port = 0] = await freePorts(1);
  let child: ChildProcess | undefined;
  let kubeconfigs = 0;
  await writeServiceAccountKeys(directory);

  async function start(tokens: readonly string[] = []): Promise<void> {
    await writeFile(join(directory, "tokens.csv"), tokenTable([ADMIN_TOKEN, ...tokens]));
    child = spawn(binary, serverFlags({ directory, etcd: etcd.endpoint, port }), {
      stdio: "ignore",
    });
    await eventually(() => call({ path: "/readyz" }).then(() => true), {
      what: `kube-apiserver is ready at port ${port}`,
      limitMs: START_LIMIT_MS,
      pollMs: 100,
    });
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async function call<T>(wanted: ApiCall): Promise<T> {
    return (await send(wanted, { port })) as T;
  }

  async function close(): Promise<void> {
    await kill();
    await etcd.close();
    await rm(directory, { recursive: true, force: true });
  }

  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    port,
    etcd,
    call,
    kill,
    close,
    restart: ({ tokens = [] } = {}) => start(tokens),
    async writeKubeconfig({ port: through = port, token = ADMIN_TOKEN } = {}) {
      const path = join(directory, `kubeconfig-${++kubeconfigs}`);
      const tokenFile = `${path}.token`;
      await writeFile(tokenFile, token);
      const ca = await readFile(join(directory, "certificates", "apiserver.crt"));
      await writeFile(path, kubeconfig({ port: through, tokenFile, ca }));
      return { path, tokenFile };
    },
  };
}

/** Every token is an administrator: what may be read is not what these tests are about. */
function tokenTable(tokens: readonly string[]): string {
  return tokens.map((token) => `${token},${token},${token},system:masters\n`).join("");
}

async function writeServiceAccountKeys(directory: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const write = (name: string, pem: string | Buffer): Promise<void> =>
    writeFile(join(directory, name), pem);
  await write("sa.key", privateKey.export({ type: "pkcs1", format: "pem" }));
  await write("sa.pub", publicKey.export({ type: "spki", format: "pem" }));
}

function serverFlags(place: { directory: string; etcd: string; port: number }): string[] {
  const { directory, etcd, port } = place;
  return [
    `--etcd-servers=${etcd}`,
    // Compaction is the test's to force.
    "--etcd-compaction-interval=0",
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    "--insecure-port=0",
    `--cert-dir=${join(directory, "certificates")}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    `--service-account-key-file=${join(directory, "sa.pub")}`,
    `--service-account-signing-key-file=${join(directory, "sa.key")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--token-auth-file=${join(directory, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    // Nobody makes the service accounts that pods would be given.
    "--disable-admission-plugins=ServiceAccount",
    "--endpoint-reconciler-type=none",
    "--allow-privileged=true",
  ];
}

function kubeconfig(options: { port: number; tokenFile: string; ca: Buffer }): string {
  const server = `https://127.0.0.1:${options.port}`;
  const cluster = {
    server,
    "certificate-authority-data": options.ca.toString("base64"),
  };
  const provider = { name: "tokenFile", config: { tokenFile: options.tokenFile } };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "admin", user: { "auth-provider": provider } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  });
}

function send(call: ApiCall, { port }: { port: number }): Promise<unknown> {
  const { method = "GET", path, body, allow = [] } = call;
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        // The certificate is made by the server at its first start and proves nothing to us here.
        rejectUnauthorized: false,
        agent: false,
        timeout: CALL_LIMIT_MS,
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": type },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          const status = response.statusCode ?? 0;
          if (status >= 300 && !allow.includes(status)) {
            reject(new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`));
          } else {
            resolve(text.startsWith("{") ? JSON.parse(text) : text);
          }
        });
      },
    );
    sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

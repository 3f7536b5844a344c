// A real kube-apiserver for tests, on an etcd of its own, both on loopback with ports of their
// own; it can be killed and started again. Not a fake; it stands here because tests stand on it.
import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, startTestEtcd, type TestEtcd } from "./etcd.ts";
import { eventually } from "./eventually.ts";
import { createClientAuthority } from "./kubernetes-certificates.ts";

export interface TestKubernetes {
  readonly port: number;
  readonly etcd: TestEtcd;
  /** What its certificate is believed by. */
  readonly ca: Buffer;
  /** A kubeconfig whose user has its token in a file, so that it can be rotated. */
  writeKubeconfig(options?: { port?: number; token?: string }): Promise<KubeconfigFiles>;
  /** A kubeconfig as people have them: `user` is the whole of its one user. */
  writeUserKubeconfig(user: object, fields?: object): Promise<string>;
  /** Of an administrator that the server knows by certificate. */
  issueCertificate(): { readonly certificate: string; readonly privateKey: string };
  /** One request as administrator; rejects for a status of 300 and more other than in `allow`. */
  call<T = unknown>(call: ApiCall): Promise<T>;
  /** SIGKILL, and gone when this resolves. */
  kill(): Promise<void>;
  /** Starts it again with the same data, at the same port, knowing `tokens` besides. */
  restart(options?: { tokens?: readonly string[]; flags?: readonly string[] }): Promise<void>;
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
/** Other tests may keep the machine busy for long. */
const CALL_LIMIT_MS = 60_000;
const ASSETS = "KUBEBUILDER_ASSETS";

/** Flags come behind the usual ones, and so before them. */
export async function startTestKubernetes(
  options: { readonly flags?: readonly string[] } = {},
): Promise<TestKubernetes> {
  const binary = findBinary();
  const directory = await mkdtemp(join(tmpdir(), "tombolo-kube-"));
  const etcd = await startTestEtcd();
  const [port = 0] = await freePorts(1);
  let child: ChildProcess | undefined;
  let kubeconfigs = 0;
  const agent = new Agent({ keepAlive: true });
  const clients = createClientAuthority(Date.now());
  await writeServiceAccountKeys(directory);
  await writeFile(join(directory, "clients.crt"), clients.certificate);
  const readCa = (): Buffer => readFileSync(join(directory, "certificates", "apiserver.crt"));

  async function start(
    tokens: readonly string[] = [],
    flags: readonly string[] = [],
  ): Promise<void> {
    await writeFile(join(directory, "tokens.csv"), tokenTable([ADMIN_TOKEN, ...tokens]));
    const usual = serverFlags({ directory, etcd: etcd.endpoint, port });
    const log = openSync(join(directory, "kube-apiserver.log"), "w");
    const started = spawn(binary, [...usual, ...(options.flags ?? []), ...flags], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child = started;
    const ended = new AbortController();
    const onEnd = (): void => ended.abort(new Error(`kube-apiserver has ended: ${lastWords()}`));
    started.once("exit", onEnd);
    await eventually(() => call({ path: "/readyz" }).then(() => true), {
      what: `kube-apiserver is ready at port ${port}`,
      limitMs: START_LIMIT_MS,
      pollMs: 100,
      signal: ended.signal,
    });
    started.off("exit", onEnd);
  }

  function lastWords(): string {
    const log = readFileSync(join(directory, "kube-apiserver.log"), "utf8").trimEnd();
    return log.split("\n").at(-1) ?? "";
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async function call<T>(wanted: ApiCall): Promise<T> {
    return (await send(wanted, { port, agent })) as T;
  }

  async function close(): Promise<void> {
    await kill();
    agent.destroy();
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
    get ca() {
      return readCa();
    },
    restart: ({ tokens = [], flags = [] } = {}) => start(tokens, flags),
    issueCertificate: () => clients.issueAdministrator(),
    async writeUserKubeconfig(user, fields = {}) {
      const path = join(directory, `kubeconfig-${++kubeconfigs}`);
      const config = kubeconfig({ port, user, ca: readCa() });
      await writeFile(path, JSON.stringify({ ...config, ...fields }));
      return path;
    },
    async writeKubeconfig({ port: through = port, token = ADMIN_TOKEN } = {}) {
      const path = join(directory, `kubeconfig-${++kubeconfigs}`);
      const tokenFile = `${path}.token`;
      await writeFile(tokenFile, token);
      const config = kubeconfig({ port: through, user: { tokenFile }, ca: readCa() });
      await writeFile(path, JSON.stringify(config));
      return { path, tokenFile };
    },
  };
}

function findBinary(): string {
  const assets = process.env[ASSETS] ?? "";
  const binary = join(assets, "kube-apiserver");
  if (assets !== "" && existsSync(binary)) return binary;
  const what = assets === "" ? `${ASSETS} is not set` : `there is no ${binary}`;
  throw new Error(
    `Cannot start kube-apiserver: ${what}, want ${ASSETS} to be a folder that holds it`,
  );
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
    `--client-ca-file=${join(directory, "clients.crt")}`,
    `--token-auth-file=${join(directory, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    // Nobody makes the service accounts that pods would be given.
    "--disable-admission-plugins=ServiceAccount",
    "--endpoint-reconciler-type=none",
    "--allow-privileged=true",
  ];
}

function kubeconfig(options: { port: number; user: object; ca: Buffer }): object {
  const cluster = {
    server: `https://127.0.0.1:${options.port}`,
    "certificate-authority-data": options.ca.toString("base64"),
  };
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "admin", user: options.user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  };
}

function send(call: ApiCall, { port, agent }: { port: number; agent: Agent }): Promise<unknown> {
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
        agent,
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

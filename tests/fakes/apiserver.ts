// A real apiserver process for tests: a cluster directory under /tmp, an embedded etcd with real
// certificates on loopback, and hands to kill, restart and look at both. Not a fake; it stands
// here because it is what tests stand on.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createApiserverStatusReader,
  type ApiserverStatusMessage,
} from "../../mesh/api/apiserver-client.ts";
import { writePeer } from "../../mesh/connect/connection-files.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdConnection } from "../../mesh/kvstore/etcd-connection.ts";
import { createEtcdStore, type EtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { initialisePki, pkiPaths, readAuthority, readBundle } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import { freePorts } from "./etcd.ts";
import { eventually } from "./eventually.ts";

const MAIN = fileURLToPath(new URL("../../apiserver/main.ts", import.meta.url));
const never = new AbortController().signal;

export interface TestApiserver {
  readonly name: string;
  readonly directory: string;
  readonly etcdEndpoint: string;
  readonly joinEndpoint: string;
  readonly healthPort: number;
  /** As the cluster's admin. */
  readonly store: EtcdStore;
  start(): void;
  /** Of the process that start() started last. */
  pid(): number;
  /** Starts another process with the same configuration and waits for its end. */
  runSecond(): Promise<{ status: number | null; said: string }>;
  /** Waits until it is ready. */
  ready(): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
  status(): Promise<ApiserverStatusMessage>;
  etcdPid(): Promise<number>;
  manifest(file: string, text: string): Promise<void>;
  /** Everything in its etcd, or below a prefix, by key. */
  contents(prefix?: string): Promise<Map<string, string>>;
  /** Makes its etcd forget all history before the present revision. */
  compact(): Promise<void>;
  log(): Promise<string>;
  close(): Promise<void>;
}

export async function createTestApiserver(options: {
  name: string;
  id: number;
  /** The field of the configuration; the manifests if left out. */
  source?: object;
  /** The field of the configuration; with it, profile and certificates are left to the apiserver. */
  objects?: object;
  /** The field of the configuration; no operations plane if left out. */
  operations?: object;
}): Promise<TestApiserver> {
  const { name, id } = options;
  const directory = await mkdtemp(join(tmpdir(), `tombolo-as-${name}-`));
  const [etcdPort = 0, healthPort = 0, joinPort = 0] = await freePorts(3);
  const etcdEndpoint = `https://127.0.0.1:${etcdPort}`;
  const paths = clusterPaths(directory);
  const joinEndpoint = `127.0.0.1:${joinPort}`;
  await mkdir(paths.manifests);
  if (options.objects === undefined) {
    await writeFile(
      paths.profile,
      JSON.stringify({ name, id, etcdEndpoints: [etcdEndpoint], joinEndpoint }),
    );
    await initialisePki(paths.pki, { cluster: name, nowMs: Date.now() });
  }
  const configPath = join(directory, "apiserver.json");
  await writeFile(
    configPath,
    JSON.stringify({
      directory,
      etcd: { mode: "embedded", listen: etcdEndpoint },
      source: options.source,
      objects: options.objects,
      operations: options.operations,
      healthListen: `127.0.0.1:${healthPort}`,
      joinListen: joinEndpoint,
    }),
  );
  const pki = pkiPaths(paths.pki);
  const etcd = {
    endpoints: [etcdEndpoint],
    tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
    serverName: meshServerName(name),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  };
  const store = createEtcdStore(etcd);
  const logPath = join(directory, "apiserver.log");
  let child: ChildProcess | undefined;

  const status = (): Promise<ApiserverStatusMessage> =>
    createApiserverStatusReader({
      socketPath: paths.apiserverSocket,
      clock: systemClock,
    }).readStatus(never);
  const etcdPid = async (): Promise<number> =>
    Number(await readFile(join(paths.run, "etcd", "etcd.pid"), "utf8"));
  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  return {
    name,
    directory,
    etcdEndpoint,
    joinEndpoint,
    healthPort,
    store,
    status,
    etcdPid,
    kill,
    pid: () => child?.pid ?? 0,
    start() {
      const output = openSync(logPath, "a");
      child = spawn(process.execPath, [MAIN, "--config", configPath], {
        stdio: ["ignore", output, output],
      });
    },
    async runSecond() {
      const second = spawn(process.execPath, [MAIN, "--config", configPath], { stdio: "pipe" });
      const said: Buffer[] = [];
      second.stderr.on("data", (chunk: Buffer) => said.push(chunk));
      const [code] = (await once(second, "close")) as [number | null];
      return { status: code, said: Buffer.concat(said).toString() };
    },
    async ready() {
      await eventually(async () => (await status()).ready, {
        limitMs: 60_000,
        what: `apiserver of ${name} is ready`,
      });
    },
    manifest: (file, text) => writeFile(join(paths.manifests, file), text),
    async contents(prefix) {
      const found = new Map<string, string>();
      for (const below of prefix === undefined ? ["cilium/", "tombolo/"] : [prefix]) {
        for await (const page of store.list(below, never)) {
          for (const { key, value } of page) found.set(key, value.toString());
        }
      }
      return found;
    },
    async compact() {
      const connection = createEtcdConnection(etcd);
      const call = { service: "KV", timeoutMs: 5_000, doing: "compact" } as const;
      const range = { ...call, method: "range", request: { key: Buffer.from("x") } } as const;
      const { header } = await connection.call<{ header: { revision: string } }>(range, never);
      const request = { revision: header.revision, physical: true };
      await connection.call({ ...call, method: "compact", request }, never);
      connection.close();
    },
    log: () => readFile(logPath, "utf8"),
    async close() {
      await kill("SIGTERM");
      store.close();
      // After a SIGKILL etcd is left behind; its pid file says which process is ours.
      const pid = await etcdPid().catch(() => 0);
      if (pid > 0) await killEtcd(pid, paths.etcdData);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Lets `reader` read `peer`: a client certificate signed by the peer, and the peer file. */
export async function installPeer(
  reader: { name: string; directory: string },
  peer: { name: string; directory: string; etcdEndpoint: string },
): Promise<void> {
  const peerPki = clusterPaths(peer.directory).pki;
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const certificate = issueRemote(await readAuthority(peerPki), {
    reader: reader.name,
    request: createSigningRequest(reader.name, privateKey),
    nowMs: Date.now(),
  });
  await writePeer(reader.directory, {
    name: peer.name,
    endpoints: [peer.etcdEndpoint],
    bundle: await readBundle(pkiPaths(peerPki).caBundle),
    client: { certificate, privateKey },
  });
}

/** Kills only a process that has our data directory on its command line. */
async function killEtcd(pid: number, data: string): Promise<void> {
  const ours = async (): Promise<boolean> => {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return line.includes(`--data-dir=${data}`);
  };
  if (!(await ours())) return;
  process.kill(pid, "SIGKILL");
  await eventually(async () => !(await ours()), { what: "etcd is gone" });
}

/** Manifests of a small cluster: one node, `pods` ready pods behind one global service. */
export function smallCluster(id: number, pods = 2): string {
  const pod = (index: number): string => `---
apiVersion: v1
kind: Pod
metadata: {name: cart-${index}, namespace: shop, labels: {app: cart}}
spec: {nodeName: n1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {podIPs: [{ip: 10.${id}.0.${index + 10}}, {ip: "fd0${id}::${index + 10}"}]}
`;
  return `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop}}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDRs: [10.${id}.0.0/24, "fd0${id}::/64"]}
status: {addresses: [{type: InternalIP, address: 192.168.${id}.1}]}
---
apiVersion: v1
kind: Service
metadata:
  name: cart
  namespace: shop
  annotations: {service.cilium.io/global: "true"}
spec:
  clusterIP: 10.96.0.9
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: http}]
${Array.from({ length: pods }, (_, index) => pod(index)).join("")}`;
}

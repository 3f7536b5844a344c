// A cluster for tests of connecting: a real directory with real certificates, a real etcd where
// one is wanted, and in place of the apiserver a reader that tries what the files say.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MaxConnectedClusters } from "../../mesh/core/cluster.ts";
import { systemClock, type Clock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import type { ClusterAccess } from "../../mesh/connect/cluster-access.ts";
import type { PeerStatus, PeerStatusReader } from "../../mesh/connect/cluster-facts.ts";
import { openClusterAccess } from "../../mesh/connect/context-access.ts";
import { parsePeerFile, type PeerFile } from "../../mesh/connect/peer-file.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { clusterConfigKey, HEARTBEAT_KEY, stateWatchPrefix } from "../../mesh/kvstore/keys.ts";
import {
  encodeClusterConfig,
  OWN_CAPABILITIES,
} from "../../mesh/kvstore/records/cluster-config.ts";
import { encodeNode } from "../../mesh/kvstore/records/node.ts";
import { initialisePki } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { startTestEtcd, type TestEtcd } from "./etcd.ts";

export interface TestCluster {
  readonly name: string;
  readonly directory: string;
  readonly access: ClusterAccess;
  readonly apiserver: PeerStatusReader;
  /** Writes a key as the cluster's own apiserver would. */
  put(key: string, value: Buffer | string): Promise<void>;
  readonly etcd: TestEtcd | undefined;
  close(): Promise<void>;
}

export interface TestClusterOptions {
  readonly name: string;
  readonly id: number;
  readonly maxConnectedClusters?: MaxConnectedClusters;
  readonly podPrefix?: string;
  /** Without one the endpoint is a closed port. */
  readonly etcd?: boolean;
  readonly joinEndpoint?: string;
  readonly clock?: Clock;
}

export async function createTestCluster(options: TestClusterOptions): Promise<TestCluster> {
  const { name, id } = options;
  const directory = await mkdtemp(join(tmpdir(), `tombolo-cn-${name}-`));
  const pki = await initialisePki(clusterPaths(directory).pki, {
    cluster: name,
    nowMs: Date.now(),
  });
  const serverName = meshServerName(name);
  const clientTls = {
    caFile: pki.caBundle,
    certFile: pki.adminCertificate,
    keyFile: pki.adminKey,
  };
  const etcd =
    options.etcd === true
      ? await startTestEtcd({
          tls: { caFile: pki.caBundle, certFile: pki.serverCertificate, keyFile: pki.serverKey },
          clientTls,
          serverName,
          flags: ["--enable-grpc-gateway=false"],
        })
      : undefined;
  const put = async (key: string, value: Buffer | string): Promise<void> => {
    const request = { key: Buffer.from(key), value: Buffer.from(value) };
    const call = { service: "KV", method: "put", request, timeoutMs: 5_000 } as const;
    await etcd?.connection.call({ ...call, doing: `put ${key}` }, new AbortController().signal);
  };
  const maxConnectedClusters = options.maxConnectedClusters ?? 255;
  const cluster = { name, id, maxConnectedClusters };
  const profile = {
    ...cluster,
    etcdEndpoints: [etcd?.endpoint ?? "https://127.0.0.1:1"],
    joinEndpoint: options.joinEndpoint ?? "127.0.0.1:1",
  };
  await writeFile(clusterPaths(directory).profile, JSON.stringify(profile));
  const capabilities = OWN_CAPABILITIES;
  await put(clusterConfigKey(name), encodeClusterConfig({ cluster, capabilities }));
  await put(
    `${stateWatchPrefix("nodes", name)}${name}-1`,
    encodeNode({
      cluster: name,
      clusterId: id,
      name: `${name}-1`,
      addresses: [{ type: "InternalIP", ip: `172.16.${id}.1` }],
      podPrefixes: [options.podPrefix ?? `10.${id}.0.0/24`],
      encryptionKey: 0,
      wireguardPublicKey: "",
      bootId: "",
      labels: new Map(),
      annotations: new Map(),
    }),
  );
  const apiserver = createTryingReader(directory);
  const clock = options.clock ?? systemClock;
  return {
    name,
    directory,
    etcd,
    put,
    apiserver,
    access: openClusterAccess(
      { context: name, directory, apiserver },
      { clock, random: Math.random, log: silentLogger },
    ),
    close: async () => {
      await etcd?.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Paths, modes and contents of everything below a directory: equal exactly for equal trees. */
export async function readTree(directory: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const mode = ((await stat(path)).mode & 0o7777).toString(8);
    const content = entry.isFile() ? await readFile(path, "base64") : "";
    tree[path.slice(directory.length + 1)] = `${mode} ${content}`;
  }
  return tree;
}

/** Makes empty directories and files, so that there is something to keep. */
export async function writeTree(directory: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(directory, path, ".."), { recursive: true });
    await writeFile(join(directory, path), content);
  }
}

/** A peer is "ready" when its etcd answers to the certificate that the files name. */
function createTryingReader(directory: string): PeerStatusReader {
  const { peers } = clusterPaths(directory);
  return {
    readPeers: async (signal) => {
      let files: string[];
      try {
        files = await readdir(peers);
      } catch {
        return []; // Never connected.
      }
      const names = files.filter((file) => /^[^.].*\.yaml$/.test(file));
      return Promise.all(names.map((file) => tryPeer(join(peers, file), signal)));
    },
  };
}

async function tryPeer(path: string, signal: AbortSignal): Promise<PeerStatus> {
  const name = /([^/]+)\.yaml$/.exec(path)?.[1] ?? "";
  const status = { name, id: 0, heartbeatAgeSeconds: 0, reconnections: 0, kinds: [] };
  let peer: PeerFile;
  try {
    peer = parsePeerFile(await readFile(path, "utf8"), path);
  } catch (error) {
    return { ...status, state: "connecting", reason: String(error), synced: false };
  }
  const store = createEtcdStore({
    endpoints: peer.endpoints,
    tls: { caFile: peer.trustedCaFile, certFile: peer.certFile, keyFile: peer.keyFile },
    serverName: meshServerName(name),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });
  try {
    await store.get(HEARTBEAT_KEY, signal);
    return { ...status, state: "ready", reason: "", synced: true };
  } catch (error) {
    return { ...status, state: "connecting", reason: String(error), synced: false };
  } finally {
    store.close();
  }
}

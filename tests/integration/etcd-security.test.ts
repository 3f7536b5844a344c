// The etcd store with certificates: mTLS, rotation without losing the timeline, and users that
// may read no more than their role says.
import { afterEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { applyAuth } from "../../mesh/kvstore/etcd-auth.ts";
import {
  createEtcdStore,
  type EtcdStore,
  type EtcdStoreOptions,
} from "../../mesh/kvstore/etcd-store.ts";
import type { StoreOperation, WatchEvent } from "../../mesh/kvstore/store.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { initialisePki, readAuthority, writeKeyedCertificate } from "../../pki/files.ts";
import { issueAdmin, issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import { startTestEtcd, type TestEtcd } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTcpProxy } from "../fakes/proxy.ts";

const LIMIT_MS = 120_000;
const signal = new AbortController().signal;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startEtcd(options?: Parameters<typeof startTestEtcd>[0]): Promise<TestEtcd> {
  const etcd = await startTestEtcd(options);
  closers.push(() => etcd.close());
  return etcd;
}

async function startProxy(etcd: TestEtcd): ReturnType<typeof startTcpProxy> {
  const proxy = await startTcpProxy({ targetPort: etcd.port });
  closers.push(() => proxy.close());
  return proxy;
}

function open(endpoints: readonly string[], options: Partial<EtcdStoreOptions> = {}): EtcdStore {
  const store = createEtcdStore({
    endpoints,
    tls: undefined,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    ...options,
  });
  closers.push(async () => store.close());
  return store;
}

const put = (key: string, value: string | Buffer): StoreOperation => ({
  kind: "put",
  key,
  value: Buffer.from(value),
});

/** Collects a watch until the test ends. */
function follow(store: EtcdStore, prefix: string): WatchEvent[] {
  const events: WatchEvent[] = [];
  const end = new AbortController();
  const run = (async () => {
    for await (const batch of store.watch(prefix, end.signal)) events.push(...batch);
  })();
  closers.push(async () => {
    end.abort();
    await run;
  });
  return events;
}

const has = (events: readonly WatchEvent[], kind: WatchEvent["kind"], key?: string): boolean =>
  events.some(
    (event) => event.kind === kind && (key === undefined || ("key" in event && event.key === key)),
  );

describe("createEtcdStore() with certificates", () => {
  interface Secured {
    readonly etcd: TestEtcd;
    readonly directory: string;
    readonly admin: TlsFiles;
    readonly local: TlsFiles;
    /** A client certificate for the cluster `reader`. */
    readonly remote: (reader: string) => Promise<TlsFiles>;
  }

  async function startSecured(): Promise<Secured> {
    const directory = await mkdtemp(join(tmpdir(), "tombolo-kv-pki-"));
    closers.push(() => rm(directory, { recursive: true, force: true }));
    const nowMs = Date.now();
    const paths = await initialisePki(directory, { cluster: "east", nowMs });
    const files = (certFile: string, keyFile: string): TlsFiles => ({
      caFile: paths.caBundle,
      certFile,
      keyFile,
    });
    const admin = files(paths.adminCertificate, paths.adminKey);
    const etcd = await startEtcd({
      tls: files(paths.serverCertificate, paths.serverKey),
      clientTls: admin,
      flags: ["--enable-grpc-gateway=false"],
    });
    return {
      etcd,
      directory,
      admin,
      local: files(paths.localCertificate, paths.localKey),
      async remote(reader) {
        const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
        const request = createSigningRequest(reader, privateKey);
        const authority = await readAuthority(directory);
        const certificate = issueRemote(authority, {
          reader,
          request,
          nowMs,
        });
        const certificatePath = join(directory, `${reader}.crt`);
        const keyPath = join(directory, `${reader}.key`);
        await writeKeyedCertificate({ certificate, privateKey }, { certificatePath, keyPath });
        return files(certificatePath, keyPath);
      },
    };
  }

  const secured = (etcd: TestEtcd, tls: TlsFiles): EtcdStore =>
    open([etcd.endpoint], { tls, serverName: "east.mesh.cilium.io" });

  test(
    "goes on with new certificates, over a new connection and in one timeline",
    async () => {
      const { etcd, directory, admin } = await startSecured();
      const proxy = await startProxy(etcd);
      const store = open([`https://127.0.0.1:${proxy.port}`], {
        tls: admin,
        serverName: "east.mesh.cilium.io",
        tlsCheckMs: 100,
      });
      const events = follow(store, "k/");
      await eventually(() => has(events, "synced"));
      const before = proxy.accepted;
      const authority = await readAuthority(directory);
      const renewed = await issueAdmin(authority, { cluster: "east", nowMs: Date.now() });
      await writeKeyedCertificate(renewed, {
        certificatePath: admin.certFile,
        keyPath: admin.keyFile,
      });
      await eventually(() => has(events, "resumed"));
      expect(proxy.accepted).toBeGreaterThan(before);
      await store.commit([put("k/a", "1")], signal);
      await eventually(() => has(events, "put", "k/a"));
      expect(events.filter(({ kind }) => kind === "synced")).toHaveLength(1);
    },
    LIMIT_MS,
  );

  test(
    "applyAuth() gives each user what it may read, and can be repeated",
    async () => {
      const { etcd, admin, local, remote } = await startSecured();
      const auth = {
        endpoints: [etcd.endpoint],
        tls: admin,
        serverName: "east.mesh.cilium.io",
        clock: systemClock,
        random: Math.random,
        log: silentLogger,
        cluster: "east",
      };
      await applyAuth({ ...auth, remotes: ["west", "north"] }, signal);
      await applyAuth({ ...auth, remotes: ["west", "north"] }, signal);
      const keys = [
        "cilium/.heartbeat",
        "cilium/state/nodes/v1/east/n1",
        "cilium/cluster-config/east",
        "cilium/cluster-config/west",
        "cilium/synced/east/x",
        "cilium/synced/west/x",
        "cilium/cache/nodes/v1/west/n1",
        "tombolo/state/x",
        "tombolo/local/x",
        "elsewhere",
      ];
      await secured(etcd, admin).commit(
        keys.map((key) => put(key, "1")),
        signal,
      );
      const west = await remote("west");
      expect(await readable(secured(etcd, local), keys)).toEqual(keys.slice(0, -1));
      expect(await readable(secured(etcd, west), keys)).toEqual([
        "cilium/.heartbeat",
        "cilium/state/nodes/v1/east/n1",
        "cilium/cluster-config/east",
        "cilium/synced/east/x",
        "tombolo/state/x",
      ]);
      for (const tls of [local, west]) {
        const error = await secured(etcd, tls)
          .commit([put("cilium/state/nodes/v1/east/n1", "2")], signal)
          .catch((reason: unknown) => reason);
        expect(isMeshError(error, "permission_denied")).toBe(true);
      }
      const events = follow(secured(etcd, west), "cilium/state/");
      await eventually(() => has(events, "synced"));
      await applyAuth({ ...auth, remotes: ["north"] }, signal);
      expect(await readable(secured(etcd, west), keys)).toEqual([]);
      expect(await readable(secured(etcd, await remote("north")), keys)).toHaveLength(5);
    },
    LIMIT_MS,
  );

  async function readable(store: EtcdStore, keys: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const key of keys) {
      const entry = await store.get(key, signal).catch((error: unknown) => {
        if (!isMeshError(error, "permission_denied") && !isMeshError(error, "unauthenticated"))
          throw error;
      });
      if (entry !== undefined) found.push(key);
    }
    return found;
  }
});

// A real nats-server for tests, as the project configures it: certificates of a cluster of its own,
// ports of its own, kept by the same code as in an apiserver. Not a fake.
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "nats";
import { createNatsServer, type NatsServer } from "../../apiserver/nats/server.ts";
import { natsPaths, writeNatsDirectory, type TlsContents } from "../../apiserver/nats/directory.ts";
import { renderNatsConfig, type NatsConfig } from "../../apiserver/nats/render-config.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { createNatsConnection } from "../../mesh/operations/nats-connection.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { initialisePki, pkiPaths, readAuthority } from "../../pki/files.ts";
import { issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import { freePorts } from "./etcd.ts";
import { eventually } from "./eventually.ts";

export interface TestNats {
  readonly cluster: string;
  readonly directory: string;
  readonly pki: string;
  readonly port: number;
  readonly leafPort: number;
  readonly monitor: string;
  readonly server: NatsServer;
  /** Writes this configuration; what follows is the server's business. */
  configure(
    change: Partial<Omit<NatsConfig, "peers">> & { peers?: readonly TestPeer[] },
  ): Promise<void>;
  /** A connection with one of the cluster's certificates; `run` is the caller's. */
  connection(as: "admin" | "local", port?: number): OperationsConnection;
  /** A client without anything of ours around it, for whatever a test wants to see or spoil. */
  client(as: "admin" | "local"): Promise<NatsConnection>;
  close(): Promise<void>;
}

export interface TestPeer {
  readonly name: string;
  readonly dial?: { readonly endpoints: readonly string[]; readonly tls: TlsContents };
}

/** Running when this resolves; nothing is connected to it. */
export async function startTestNats(cluster: string): Promise<TestNats> {
  const root = await mkdtemp(join(tmpdir(), `tombolo-nats-${cluster}-`));
  const directory = join(root, "nats");
  const pki = join(root, "pki");
  await mkdir(pki);
  const paths = await initialisePki(pki, { cluster, nowMs: systemClock.nowMs() });
  const [port = 0, leafPort = 0, monitorPort = 0] = await freePorts(3);
  const place = natsPaths(directory);
  const end = new AbortController();
  const server = createNatsServer({
    directory,
    keepRunning: false,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });
  const [caBundle = "", certificate = "", key = ""] = await Promise.all(
    [paths.caBundle, paths.serverCertificate, paths.serverKey].map((path) =>
      readFile(path, "utf8"),
    ),
  );
  const configure: TestNats["configure"] = async ({ peers = [], ...change }) => {
    const config = renderNatsConfig({
      cluster,
      listen: `127.0.0.1:${port}`,
      leafListen: `127.0.0.1:${leafPort}`,
      monitorListen: `127.0.0.1:${monitorPort}`,
      storeDirectory: place.data,
      pidFile: join(directory, "nats.pid"),
      logFile: place.log,
      tls: place.tls,
      acceptQuestions: false,
      ...change,
      peers: peers.map(({ name, dial }) => ({
        name,
        dial: dial && { endpoints: dial.endpoints, tls: place.peer(name) },
      })),
    });
    const dialled = peers.flatMap(({ name, dial }) => (dial ? [[name, dial.tls] as const] : []));
    const tls = { caBundle, certificate, key };
    await writeNatsDirectory(directory, { config, tls, peers: new Map(dialled) });
  };
  await configure({});
  const running = server.run(end.signal);
  const monitor = `127.0.0.1:${monitorPort}`;
  await eventually(async () => (await fetch(`http://${monitor}/healthz`)).ok, {
    what: `nats-server of "${cluster}" runs`,
  });
  return {
    cluster,
    directory,
    pki,
    port,
    leafPort,
    monitor,
    server,
    configure,
    connection: (as, toPort = port) => {
      const keys = pkiPaths(pki);
      const tls =
        as === "admin"
          ? { certFile: keys.adminCertificate, keyFile: keys.adminKey }
          : { certFile: keys.localCertificate, keyFile: keys.localKey };
      return createNatsConnection({
        name: `${as}-${cluster}`,
        servers: () => [`127.0.0.1:${toPort}`],
        tls: { caFile: keys.caBundle, ...tls },
        serverName: meshServerName(cluster),
        clock: systemClock,
        random: Math.random,
        log: silentLogger,
      });
    },
    client(as) {
      const keys = pkiPaths(pki);
      const files =
        as === "admin"
          ? { certFile: keys.adminCertificate, keyFile: keys.adminKey }
          : { certFile: keys.localCertificate, keyFile: keys.localKey };
      const tls = { caFile: keys.caBundle, ...files, servername: meshServerName(cluster) };
      return connect({ servers: `127.0.0.1:${port}`, tls, reconnect: false });
    },
    async close() {
      end.abort();
      await running;
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** What `reader` dials `signer` with: a certificate that the signer's authority has made. */
export async function remoteTls(reader: string, signer: TestNats): Promise<TlsContents> {
  const key = await generatePrivateKey(LEAF_KEY_BITS);
  const certificate = issueRemote(await readAuthority(signer.pki), {
    reader,
    request: createSigningRequest(reader, key),
    nowMs: systemClock.nowMs(),
  });
  const caBundle = await readFile(pkiPaths(signer.pki).caBundle, "utf8");
  return { caBundle, certificate: certificate.pem, key: key.encodePem() };
}

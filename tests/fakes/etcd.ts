// A real etcd for tests: one member on loopback with ports of its own, in a directory of its own,
// that can be killed, started again on the same or on empty data, and compacted. Not a fake; it
// stands here because it is what tests stand on.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { createEtcdConnection, type EtcdConnection } from "../../mesh/kvstore/etcd-connection.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { eventually } from "./eventually.ts";

export interface TestEtcdOptions {
  /** Server certificate, and the CA of client certificates, which are then demanded. */
  readonly tls?: TlsFiles;
  /** How this helper itself connects, when TLS is on. */
  readonly clientTls?: TlsFiles;
  readonly serverName?: string;
  /** More flags for etcd. */
  readonly flags?: readonly string[];
  /** Start on wiped data with the same cluster id, as an etcd with fixed flags does. */
  readonly fixedToken?: boolean;
}

export interface TestEtcd {
  readonly endpoint: string;
  readonly port: number;
  readonly pid: number;
  /** SIGKILL, and gone when this resolves. */
  kill(): Promise<void>;
  /** Starts it again on the same data, at the same port. */
  restart(): Promise<void>;
  /** Kills it, empties its data and starts it again at the same port. */
  wipe(): Promise<void>;
  /** Forgets all history before the present revision. */
  compact(): Promise<void>;
  /** Keeps a copy of its data as they are now; it is killed and started again for that. */
  save(): Promise<void>;
  /** Kills it, and starts it again on what save() has kept. */
  rollBack(): Promise<void>;
  /** A bare connection for whatever a test wants to see or spoil. */
  readonly connection: EtcdConnection;
  close(): Promise<void>;
}

export async function startTestEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const directory = await mkdtemp(join(tmpdir(), "tombolo-kv-etcd-"));
  const [port, peerPort] = await freePorts(2);
  if (port === undefined || peerPort === undefined) throw new Error("Cannot find free ports");
  const scheme = options.tls === undefined ? "http" : "https";
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  const [data, saved] = [join(directory, "data"), join(directory, "saved")];
  let token = randomUUID();
  let child: ChildProcess | undefined;
  const signal = new AbortController().signal;
  const connection = createEtcdConnection({
    endpoints: [endpoint],
    tls: options.clientTls ?? options.tls,
    serverName: options.serverName,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });

  async function start(): Promise<void> {
    child = spawn(
      "etcd",
      etcdFlags({ ...options, directory, endpoint, peerPort: peerPort ?? 0, token }),
      {
        stdio: "ignore",
      },
    );
    await eventually(() => ask<{ header: { revision: string } }>("range", { key: KEY }), {
      what: `etcd answers at ${endpoint}`,
    });
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  const ask = <Response>(method: string, request: object): Promise<Response> =>
    connection.call<Response>(
      { service: "KV", method, request, timeoutMs: 2_000, doing: `ask etcd to ${method}` },
      signal,
    );

  await start();
  return {
    endpoint,
    port,
    get pid() {
      return child?.pid ?? -1;
    },
    connection,
    kill,
    restart: start,
    async wipe() {
      await kill();
      await rm(data, { recursive: true, force: true });
      if (options.fixedToken !== true) token = randomUUID();
      await start();
    },
    async compact() {
      const { header } = await ask<{ header: { revision: string } }>("range", { key: KEY });
      await ask("compact", { revision: header.revision, physical: true });
    },
    async save() {
      await kill();
      await cp(data, saved, { recursive: true });
      await start();
    },
    async rollBack() {
      await kill();
      await rm(data, { recursive: true, force: true });
      await cp(saved, data, { recursive: true });
      await start();
    },
    async close() {
      connection.close();
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const KEY = Buffer.from("cilium/.heartbeat");

function etcdFlags(
  options: TestEtcdOptions & {
    directory: string;
    endpoint: string;
    peerPort: number;
    token: string;
  },
): string[] {
  const peer = `http://127.0.0.1:${options.peerPort}`;
  const tls = options.tls;
  return [
    ["--name", "test"],
    ["--data-dir", join(options.directory, "data")],
    ["--listen-client-urls", options.endpoint],
    ["--advertise-client-urls", options.endpoint],
    ["--listen-peer-urls", peer],
    ["--initial-advertise-peer-urls", peer],
    ["--initial-cluster", `test=${peer}`],
    ["--initial-cluster-token", options.token],
    ["--log-level", "error"],
    ...(tls === undefined
      ? []
      : [
          ["--cert-file", tls.certFile],
          ["--key-file", tls.keyFile],
          ["--trusted-ca-file", tls.caFile],
          ["--client-cert-auth"],
        ]),
    ...(options.flags ?? []).map((flag) => [flag]),
  ].flat();
}

/** Ports that were free a moment ago; all are held until the last is found, so they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  for (const server of servers) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}

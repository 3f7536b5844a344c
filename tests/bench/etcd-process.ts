// A real etcd on loopback with free ports and a data directory of its own, for one measurement.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { Etcd3 } from "etcd3";
import { eventually } from "../fakes/eventually.ts";

export interface EtcdProcess {
  readonly endpoint: string;
  readonly client: Etcd3;
  stop(): Promise<void>;
}

/** Far above what 100,000 small records need; etcd refuses writes beyond its quota. */
const QUOTA_BYTES = 4 * 2 ** 30;

export async function startEtcd(directory: string): Promise<EtcdProcess> {
  const data = await mkdtemp(join(directory, "etcd-"));
  const [clientPort, peerPort] = await freePorts(2);
  const endpoint = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const child = spawn(
    "etcd",
    [
      `--data-dir=${data}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      `--quota-backend-bytes=${QUOTA_BYTES}`,
      "--log-level=error",
    ],
    { stdio: "ignore" },
  );
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    child.on("error", () => resolve());
  });
  const client = new Etcd3({
    hosts: endpoint,
    grpcOptions: { "grpc.max_receive_message_length": 64 * 2 ** 20 },
  });
  const stop = async (): Promise<void> => {
    client.close();
    child.kill("SIGKILL");
    await ended;
    await rm(data, { recursive: true, force: true });
  };
  try {
    await eventually(
      () =>
        client
          .get("ready")
          .exists()
          .then(() => true),
      {
        what: `etcd answers at ${endpoint}`,
      },
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, client, stop };
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(
        (server) =>
          new Promise<number>((resolve, reject) => {
            server.on("error", reject);
            server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
          }),
      ),
    );
  } finally {
    for (const server of servers) server.close();
  }
}

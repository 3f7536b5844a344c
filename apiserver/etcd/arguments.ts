// The command line of the embedded etcd (reference §4.2). No secret is on it: keys are files.
import { join } from "node:path";
import type { PkiPaths } from "../../pki/files.ts";

export interface EmbeddedEtcdPaths {
  readonly data: string;
  /** 0700: holds the pid file and the socket of the peer protocol, which knows no client. */
  readonly run: string;
  readonly pidFile: string;
  readonly log: string;
  /** See cluster-token.ts. */
  readonly clusterToken: string;
}

export function embeddedEtcdPaths(directory: { etcdData: string; run: string }): EmbeddedEtcdPaths {
  const run = join(directory.run, "etcd");
  return {
    data: directory.etcdData,
    run,
    pidFile: join(run, "etcd.pid"),
    log: join(run, "etcd.log"),
    clusterToken: join(run, "cluster-token"),
  };
}

/** Member name; there is one member, and its data directory belongs to it for good. */
const MEMBER = "tombolo";
/** The peer protocol of a single member: a unix socket in the working directory, not a port. */
const PEER_URL = "unix://localhost:2380";
/** Live data of a large mesh (500,000 records, 300 bytes) and an hour of its history. */
const QUOTA_BYTES = 8 * 1024 * 1024 * 1024;

export function embeddedEtcdArguments(options: {
  listen: string;
  data: string;
  clusterToken: string;
  pki: PkiPaths;
}): string[] {
  const { listen, data, pki } = options;
  return [
    `--name=${MEMBER}`,
    `--data-dir=${data}`,
    `--listen-client-urls=${listen}`,
    `--advertise-client-urls=${listen}`,
    `--listen-peer-urls=${PEER_URL}`,
    `--initial-advertise-peer-urls=${PEER_URL}`,
    `--initial-cluster=${MEMBER}=${PEER_URL}`,
    `--initial-cluster-token=${options.clusterToken}`,
    "--client-cert-auth",
    `--trusted-ca-file=${pki.caBundle}`,
    `--cert-file=${pki.serverCertificate}`,
    `--key-file=${pki.serverKey}`,
    "--enable-grpc-gateway=false",
    "--auto-compaction-retention=1",
    `--quota-backend-bytes=${QUOTA_BYTES}`,
    "--logger=zap",
    "--log-outputs=stderr",
  ];
}

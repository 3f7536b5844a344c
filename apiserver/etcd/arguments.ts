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
  /** Names the token of the data that has its users (founding.ts). */
  readonly founded: string;
}

export function embeddedEtcdPaths(directory: { etcdData: string; run: string }): EmbeddedEtcdPaths {
  const run = join(directory.run, "etcd");
  return {
    data: directory.etcdData,
    run,
    pidFile: join(run, "etcd.pid"),
    log: join(run, "etcd.log"),
    clusterToken: join(run, "cluster-token"),
    founded: join(run, "founded"),
  };
}

/** Member name; there is one member, and its data directory belongs to it for good. */
const MEMBER = "tombolo";
/** The peer protocol of a single member: a unix socket in the working directory, not a port. */
const PEER_URL = "unix://localhost:2380";
/** In the working directory: where a new etcd is given its users (founding.ts). */
export const FOUNDING_SOCKET = "localhost:2379";
/** Live data of a large mesh (500,000 records, 300 bytes) and an hour of its history. */
const QUOTA_BYTES = 8 * 1024 * 1024 * 1024;

export interface EmbeddedEtcdOptions {
  /** `https://ADDRESS:PORT` */
  readonly listen: string;
  readonly data: string;
  readonly clusterToken: string;
  readonly pki: PkiPaths;
}

export function embeddedEtcdArguments(options: EmbeddedEtcdOptions): string[] {
  const { listen, pki } = options;
  return [
    ...memberArguments(listen, options),
    "--client-cert-auth",
    `--trusted-ca-file=${pki.caBundle}`,
    `--cert-file=${pki.serverCertificate}`,
    `--key-file=${pki.serverKey}`,
  ];
}

/** Of the same member, for the time in which it gets its users: no port, no TLS. */
export function foundingEtcdArguments(
  options: Pick<EmbeddedEtcdOptions, "data" | "clusterToken">,
): string[] {
  return memberArguments(`unix://${FOUNDING_SOCKET}`, options);
}

function memberArguments(
  clientUrl: string,
  options: Pick<EmbeddedEtcdOptions, "data" | "clusterToken">,
): string[] {
  return [
    `--name=${MEMBER}`,
    `--data-dir=${options.data}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${PEER_URL}`,
    `--initial-advertise-peer-urls=${PEER_URL}`,
    `--initial-cluster=${MEMBER}=${PEER_URL}`,
    `--initial-cluster-token=${options.clusterToken}`,
    "--enable-grpc-gateway=false",
    "--auto-compaction-retention=1",
    `--quota-backend-bytes=${QUOTA_BYTES}`,
    "--logger=zap",
    "--log-outputs=stderr",
  ];
}

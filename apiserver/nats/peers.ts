// Which peers nats-server is linked with, and how: read from the peers directory, whose files
// `mesh connect` makes.
import { readFile } from "node:fs/promises";
import type { PeerEntry } from "../mirror/peer-directory.ts";
import type { TlsContents } from "./directory.ts";

export interface LinkedPeer {
  readonly name: string;
  /** Undefined where the peer dials us. */
  readonly dial: { readonly endpoints: readonly string[]; readonly tls: TlsContents } | undefined;
}

/** The cluster with the smaller name dials: both would make two links of one. */
export function weDial(cluster: string, peer: string): boolean {
  return cluster < peer;
}

export async function readLinkedPeers(options: {
  readonly cluster: string;
  readonly entries: Iterable<PeerEntry>;
  /** As the peer says itself; empty while it has not. */
  readonly leafEndpoints: (peer: string) => readonly string[];
}): Promise<LinkedPeer[]> {
  const { cluster, entries, leafEndpoints } = options;
  const peers: LinkedPeer[] = [];
  for (const { name, file } of entries) {
    // A file without a usable name is nobody; one with our own would be a link to ourselves.
    if (file === undefined || name === cluster) continue;
    if (!weDial(cluster, name)) {
      peers.push({ name, dial: undefined });
      continue;
    }
    const endpoints = leafEndpoints(name);
    // Nothing of it before a link can be made: every change starts nats-server anew.
    if (endpoints.length === 0) continue;
    const tls = await readTls(file).catch(() => undefined); // Being replaced: looked at again.
    if (tls !== undefined) peers.push({ name, dial: { endpoints, tls } });
  }
  return peers;
}

async function readTls(file: {
  readonly trustedCaFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}): Promise<TlsContents> {
  const [caBundle, certificate, key] = await Promise.all(
    [file.trustedCaFile, file.certFile, file.keyFile].map((path) => readFile(path, "utf8")),
  );
  return { caBundle: caBundle ?? "", certificate: certificate ?? "", key: key ?? "" };
}

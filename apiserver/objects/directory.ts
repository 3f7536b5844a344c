// Makes the cluster directory what was planned. It compares with what stands there and writes only
// what differs: watchers of the directory must not see a change where there is none.
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { peerPaths, writePeer } from "../../mesh/connect/connection-files.ts";
import type { PeerInstallation } from "../../mesh/connect/cluster-access.ts";
import { encodePeerFile } from "../../mesh/connect/peer-file.ts";
import { clusterPaths, type ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { PUBLIC_FILE_MODE, SECRET_DIRECTORY_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { encodeBundle } from "../../pki/bundle.ts";
import type { DesiredFiles, DesiredPeer } from "./desired-files.ts";

export interface ObjectDirectory {
  writeProfile(profile: ClusterProfile): Promise<void>;
  /** Peers, readers and profile; the authority is authority.ts's. */
  apply(desired: DesiredFiles): Promise<void>;
  /** Whether the peers were written whole once, by this process or by one before it. */
  isWhole(): Promise<boolean>;
  markWhole(): Promise<void>;
}

/** In `run/`: the peers that stand there are all that there were. */
const WHOLE_MARK = "objects-whole";

export function createObjectDirectory(root: string, { log }: { log: Logger }): ObjectDirectory {
  const paths = clusterPaths(root);
  const mark = join(paths.run, WHOLE_MARK);

  const directory: ObjectDirectory = {
    async writeProfile(profile) {
      const { name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint } = profile;
      const fields = { name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint };
      const text = `${JSON.stringify(fields, null, 2)}\n`;
      if (await writeIfOther(paths.profile, text)) log.info("Cluster profile is written", fields);
    },
    async apply(desired) {
      if (desired.profile !== undefined) await directory.writeProfile(desired.profile);
      if (desired.readers !== undefined && (await writeIfOther(paths.remoteUsers, desired.readers)))
        log.info("Readers are written");
      if (desired.drains !== undefined && (await writeIfOther(paths.drains, desired.drains)))
        log.info("Drains are written");
      for (const [name, peer] of desired.peers) {
        if (await applyPeer(root, { name, peer })) log.info("Peer is written", { peer: name });
      }
      if (!desired.peersWhole) return;
      for (const name of await listPeers(paths.peers)) {
        if (desired.peers.has(name)) continue;
        await removePeer(root, name);
        log.info("Peer is taken away", { peer: name });
      }
    },
    isWhole: async () => (await readIfThere(mark)) !== undefined,
    async markWhole() {
      await mkdir(paths.peers, { recursive: true, mode: SECRET_DIRECTORY_MODE });
      await writeIfOther(mark, "");
    },
  };
  return directory;
}

/** Returns whether anything was written. */
async function applyPeer(
  root: string,
  { name, peer }: { name: string; peer: DesiredPeer },
): Promise<boolean> {
  if (peer.kind === "installed") {
    if (await isInstalled(root, peer.peer)) return false;
    await writePeer(root, peer.peer);
    return true;
  }
  const { file } = peerPaths(root, name);
  if ((await readIfThere(file)) !== undefined) return false;
  // A peer without a file would be a removed one, to our agents too; this file says that there is
  // one, and cannot be mistaken for its configuration.
  await writeFileAtomic(file, `# ${peer.reason.replaceAll("\n", " ")}\n`, {
    mode: PUBLIC_FILE_MODE,
  });
  return true;
}

async function isInstalled(root: string, peer: PeerInstallation): Promise<boolean> {
  const paths = peerPaths(root, peer.name);
  const wanted = [
    [paths.key, peer.client.privateKey.encodePem()],
    [paths.certificate, peer.client.certificate.pem],
    [paths.caBundle, encodeBundle(peer.bundle)],
    [
      paths.file,
      encodePeerFile({
        endpoints: peer.endpoints,
        trustedCaFile: paths.caBundle,
        keyFile: paths.key,
        certFile: paths.certificate,
      }),
    ],
  ] as const;
  const same = await Promise.all(
    wanted.map(async ([path, text]) => (await readIfThere(path)) === text),
  );
  return same.every(Boolean);
}

/** Names of peers of which anything stands there. */
async function listPeers(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    const names = entries
      .filter(({ name }) => !name.startsWith("."))
      .map((entry) => (entry.isDirectory() ? entry.name : entry.name.replace(/\.yaml$/, "")));
    return [...new Set(names)];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Also what no cluster can be called. The watched YAML file goes first. */
async function removePeer(root: string, name: string): Promise<void> {
  const { peers } = clusterPaths(root);
  await rm(join(peers, `${name}.yaml`), { force: true });
  await rm(join(peers, name), { recursive: true, force: true });
}

async function writeIfOther(path: string, text: string): Promise<boolean> {
  if ((await readIfThere(path)) === text) return false;
  await writeFileAtomic(path, text, { mode: PUBLIC_FILE_MODE });
  return true;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

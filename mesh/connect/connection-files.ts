// What connecting writes in a cluster directory: peers/NAME.yaml, peers/NAME/, remote-users.yaml,
// and a lock. Every change can be remembered and put back byte for byte. It decides nothing.
import { chmod, mkdir, open, readdir, readFile, readlink, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  PUBLIC_FILE_MODE,
  SECRET_FILE_MODE,
  syncDirectory,
  writeFileAtomic,
} from "../../pki/atomic-file.ts";
import { encodeBundle, type TrustBundle } from "../../pki/bundle.ts";
import { readBundle, readKeyedCertificate, writeKeyedCertificate } from "../../pki/files.ts";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError, messageFromError } from "../core/errors.ts";
import { clusterPaths } from "../contexts/cluster-directory.ts";
import type { PeerInstallation } from "./cluster-access.ts";
import type { InstalledPeer } from "./cluster-facts.ts";
import { encodePeerFile, encodeRemoteUsers, parsePeerFile, parseRemoteUsers } from "./peer-file.ts";

/** Where a peer's files stand below the cluster directory `root`. */
export interface PeerPaths {
  readonly file: string;
  readonly directory: string;
  readonly caBundle: string;
  readonly certificate: string;
  readonly key: string;
}

export function peerPaths(root: string, peer: string): PeerPaths {
  const directory = join(clusterPaths(root).peers, parseClusterName(peer));
  return {
    file: `${directory}.yaml`,
    directory,
    caBundle: join(directory, "ca.crt"),
    certificate: join(directory, "client.crt"),
    key: join(directory, "client.key"),
  };
}

/** The YAML file comes last: it is what the apiserver watches, and then all else is there. */
export async function writePeer(root: string, peer: PeerInstallation): Promise<void> {
  const paths = peerPaths(root, peer.name);
  await writeKeyedCertificate(peer.client, {
    certificatePath: paths.certificate,
    keyPath: paths.key,
  });
  await writeFileAtomic(paths.caBundle, encodeBundle(peer.bundle), { mode: PUBLIC_FILE_MODE });
  const text = encodePeerFile({
    endpoints: peer.endpoints,
    trustedCaFile: paths.caBundle,
    keyFile: paths.key,
    certFile: paths.certificate,
  });
  await writeFileAtomic(paths.file, text, { mode: PUBLIC_FILE_MODE });
}

/** The YAML file goes first, for the same reason. Removing what is not there is success. */
export async function deletePeer(root: string, peer: string): Promise<void> {
  const paths = peerPaths(root, peer);
  await rm(paths.file, { force: true });
  await rm(paths.directory, { recursive: true, force: true });
}

/** Whether anything of the peer is there, in order or not. */
export async function hasPeerFiles(root: string, peer: string): Promise<boolean> {
  const paths = peerPaths(root, peer);
  const found = await Promise.all([capture(paths.file), directoryMode(paths.directory)]);
  return found.some((item) => item !== undefined);
}

/** Names of the clusters that may read this one, in the file's order. */
export async function readReaders(root: string): Promise<string[]> {
  const path = clusterPaths(root).remoteUsers;
  const text = (await readIfThere(path))?.toString("utf8");
  return text === undefined ? [] : parseRemoteUsers(text, path);
}

export async function writeReaders(root: string, readers: readonly string[]): Promise<void> {
  const path = clusterPaths(root).remoteUsers;
  await writeFileAtomic(path, encodeRemoteUsers(readers), { mode: PUBLIC_FILE_MODE });
}

/** Every peer that has a file, also those whose files cannot be used. */
export async function readInstalledPeers(root: string): Promise<InstalledPeer[]> {
  let names: string[];
  try {
    names = await readdir(clusterPaths(root).peers);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const peers = names
    .filter((name) => name.endsWith(".yaml") && !name.startsWith("."))
    .map((name) => name.slice(0, -".yaml".length));
  return Promise.all(peers.sort().map((peer) => readInstalledPeer(root, peer)));
}

/** See `ClusterAccess.rememberPeer`. Also covers files that someone else put beside ours. */
export async function rememberPeerFiles(root: string, peer: string): Promise<() => Promise<void>> {
  const paths = peerPaths(root, peer);
  const directories = [clusterPaths(root).peers, paths.directory];
  const ours = [paths.key, paths.certificate, paths.caBundle];
  const others = (await listFiles(paths.directory)).filter((path) => !ours.includes(path));
  // In the order in which they are put back: the watched YAML file after what it names.
  const files = [clusterPaths(root).remoteUsers, ...ours, ...others, paths.file];
  const modes = await Promise.all(directories.map(directoryMode));
  const before = await Promise.all(files.map(async (path) => ({ path, was: await capture(path) })));
  return async () => {
    if (before.at(-1)?.was === undefined) await rm(paths.file, { force: true });
    for (const [index, directory] of directories.entries()) {
      const mode = modes[index];
      if (mode === undefined) continue;
      await mkdir(directory, { recursive: true });
      await chmod(directory, mode);
    }
    for (const { path, was } of before) await putBack(path, was);
    for (const [index, directory] of [...directories.entries()].toReversed()) {
      if (modes[index] === undefined) await removeEmptyDirectory(directory);
    }
    await syncDirectory(root);
  };
}

/**
 * See `ClusterAccess.lock`. The file holds pid and start time of its owner; a dead owner's lock is
 * void, also when another process has got its pid since (in a container, the very next one does).
 */
export function lockConnections(root: string): Promise<() => Promise<void>> {
  return lockDirectory(root, { file: ".connect.lock", what: "the connections" });
}

/** The same for other things than connections. */
export async function lockDirectory(
  root: string,
  { file: name, what }: { readonly file: string; readonly what: string },
): Promise<() => Promise<void>> {
  const path = join(root, name);
  const self = (await processIdentity(await readlink("/proc/self"))) ?? "";
  for (const attempt of [1, 2]) {
    try {
      const file = await open(path, "wx", SECRET_FILE_MODE);
      await file.writeFile(self);
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new MeshError("internal", `Cannot lock cluster directory "${root}"`, {
          cause: error,
        });
      }
      const owner = (await readIfThere(path))?.toString("utf8") ?? "";
      if (attempt === 2 || (await isAlive(owner))) {
        throw new MeshError(
          "conflict",
          `Cannot change ${what} of "${root}": process ${owner.split(" ")[0]} is at it`,
          { hint: "wait until it has ended, then try again" },
        );
      }
      await rm(path, { force: true });
    }
  }
  throw new MeshError("internal", `Cannot lock cluster directory "${root}"`);
}

async function readInstalledPeer(root: string, name: string): Promise<InstalledPeer> {
  const problems: string[] = [];
  const attempt = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      problems.push(messageFromError(error));
      return undefined;
    }
  };
  const file = await attempt(async () => {
    const path = peerPaths(root, name).file;
    return parsePeerFile(await readFile(path, "utf8"), path);
  });
  const bundle = await attempt<TrustBundle | undefined>(async () =>
    file === undefined ? undefined : readBundle(file.trustedCaFile),
  );
  const client = await attempt(async () =>
    file === undefined ? undefined : readKeyedCertificate(file.certFile, file.keyFile),
  );
  return {
    name,
    id: undefined,
    endpoints: file?.endpoints ?? [],
    bundle,
    client: client?.certificate,
    problem: problems[0],
  };
}

interface CapturedFile {
  readonly content: Buffer;
  readonly mode: number;
}

async function capture(path: string): Promise<CapturedFile | undefined> {
  const content = await readIfThere(path);
  if (content === undefined) return undefined;
  return { content, mode: (await stat(path)).mode & 0o7777 };
}

/** Writes only what differs: a watcher must not see a change where there is none. */
async function putBack(path: string, was: CapturedFile | undefined): Promise<void> {
  if (was === undefined) {
    await rm(path, { force: true });
    return;
  }
  const is = await capture(path);
  if (is?.mode === was.mode && is.content.equals(was.content)) return;
  await writeFileAtomic(path, was.content, { mode: was.mode });
}

async function directoryMode(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o7777;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Paths of the files in a directory, if it is there. */
async function listFiles(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ name }) => join(directory, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** A directory that someone else has put something into stays. */
async function removeEmptyDirectory(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTEMPTY") throw error;
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function isAlive(owner: string): Promise<boolean> {
  const [pid = ""] = owner.split(" ");
  return /^\d+$/.test(pid) && (await processIdentity(pid)) === owner;
}

/** "PID STARTTIME" of a process that runs: field 22 of its stat, the 20th behind the name. */
async function processIdentity(pid: string): Promise<string | undefined> {
  const text = (await readIfThere(`/proc/${pid}/stat`))?.toString("latin1");
  // The name before ")" may hold anything, blanks and brackets too.
  const startTime = text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  return startTime === undefined ? undefined : `${pid} ${startTime}`;
}

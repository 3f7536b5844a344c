// What stands in nats-server's directory: its configuration and copies of the certificates that it
// names, so that whoever runs it needs this directory and nothing else of the cluster.
//
//   nats.conf             written last: who follows it finds the rest there
//   ca-bundle.crt  server.{crt,key}
//   peers/NAME/           ca.crt client.{crt,key}: of the peers that we dial
//   running.json          the configuration that the running server has read
//   jetstream/  nats.pid  nats.log
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { PUBLIC_FILE_MODE, SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";

export interface NatsPaths {
  readonly directory: string;
  readonly config: string;
  readonly running: string;
  readonly data: string;
  readonly pidFile: string;
  /** What the server writes itself, and what it says before it can. */
  readonly log: string;
  readonly lastWords: string;
  readonly tls: { readonly caBundle: string; readonly certificate: string; readonly key: string };
  peer(name: string): NatsPaths["tls"];
}

export function natsPaths(directory: string): NatsPaths {
  return {
    directory,
    config: join(directory, "nats.conf"),
    running: join(directory, "running.json"),
    data: join(directory, "jetstream"),
    pidFile: join(directory, "nats-server.pid"),
    log: join(directory, "nats.log"),
    lastWords: join(directory, "nats-server.log"),
    tls: {
      caBundle: join(directory, "ca-bundle.crt"),
      certificate: join(directory, "server.crt"),
      key: join(directory, "server.key"),
    },
    peer: (name) => ({
      caBundle: join(directory, "peers", name, "ca.crt"),
      certificate: join(directory, "peers", name, "client.crt"),
      key: join(directory, "peers", name, "client.key"),
    }),
  };
}

export interface NatsContents {
  readonly config: string;
  readonly tls: TlsContents;
  /** Of the peers that are dialled. */
  readonly peers: ReadonlyMap<string, TlsContents>;
}

export interface TlsContents {
  readonly caBundle: string;
  readonly certificate: string;
  readonly key: string;
}

/** Makes the directory hold this; what is as it should be is not written. */
export async function writeNatsDirectory(directory: string, wanted: NatsContents): Promise<void> {
  const paths = natsPaths(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeTls(paths.tls, wanted.tls);
  for (const [name, tls] of wanted.peers) {
    await mkdir(join(directory, "peers", name), { recursive: true, mode: 0o700 });
    await writeTls(paths.peer(name), tls);
  }
  await writeIfChanged(paths.config, { text: wanted.config, mode: SECRET_FILE_MODE });
  for (const name of await listIfThere(join(directory, "peers"))) {
    if (wanted.peers.has(name)) continue;
    await rm(join(directory, "peers", name), { recursive: true, force: true });
  }
}

/** The configuration as it stands there, with a digest of what it names; undefined before it does. */
export async function readNatsDirectory(
  directory: string,
): Promise<{ readonly config: string; readonly digest: string } | undefined> {
  const paths = natsPaths(directory);
  const config = await readIfThere(paths.config);
  if (config === undefined) return undefined;
  const peers = (await listIfThere(join(directory, "peers"))).sort();
  const files = [paths.tls, ...peers.map((name) => paths.peer(name))].flatMap((tls) => [
    tls.caBundle,
    tls.certificate,
    tls.key,
  ]);
  const hash = createHash("sha256").update(config);
  for (const file of files) hash.update(`\0${(await readIfThere(file)) ?? ""}`);
  return { config, digest: hash.digest("hex") };
}

async function writeTls(paths: NatsPaths["tls"], tls: TlsContents): Promise<void> {
  await writeIfChanged(paths.key, { text: tls.key, mode: SECRET_FILE_MODE });
  await writeIfChanged(paths.certificate, { text: tls.certificate, mode: PUBLIC_FILE_MODE });
  await writeIfChanged(paths.caBundle, { text: tls.caBundle, mode: PUBLIC_FILE_MODE });
}

async function writeIfChanged(
  path: string,
  { text, mode }: { text: string; mode: number },
): Promise<void> {
  if ((await readIfThere(path)) === text) return;
  await writeFileAtomic(path, text, { mode });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function listIfThere(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

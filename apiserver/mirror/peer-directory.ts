// The directory of peers: which clusters are configured, and whether a configuration has changed.
// A file that cannot be read or parsed is a peer in trouble, never a peer that was removed; a
// file that is gone counts as removed when it is missing at two looks.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseClusterName } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { parsePeerFile, type PeerFile } from "../../mesh/connect/peer-file.ts";

/** A peer's file as it is now. */
export interface PeerEntry {
  readonly name: string;
  /** Undefined for a file that cannot be used; `problem` says why. */
  readonly file: PeerFile | undefined;
  readonly problem: string;
  /** Differs whenever the file does. */
  readonly fingerprint: string;
}

const PEER_FILE = /^([^.].*)\.yaml$/;

/** Undefined when the directory cannot be read: then nothing is known, least of all a removal. */
export async function readPeerDirectory(
  directory: string,
): Promise<ReadonlyMap<string, PeerEntry> | undefined> {
  let files: string[];
  try {
    files = await readdir(directory);
  } catch {
    return undefined; // Told by its owner, who knows whether anything depends on it.
  }
  const entries = new Map<string, PeerEntry>();
  for (const file of files.sort()) {
    const name = PEER_FILE.exec(file)?.[1];
    if (name !== undefined) entries.set(name, await readEntry(name, join(directory, file)));
  }
  return entries;
}

async function readEntry(name: string, path: string): Promise<PeerEntry> {
  let fingerprint = "";
  try {
    fingerprint = await readFile(path, "utf8");
    parseClusterName(name);
    return { name, file: parsePeerFile(fingerprint, path), problem: "", fingerprint };
  } catch (error) {
    return { name, file: undefined, problem: messageFromError(error), fingerprint };
  }
}

import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DesiredFiles, DesiredPeer } from "../../../../apiserver/objects/desired-files.ts";
import {
  createObjectDirectory,
  type ObjectDirectory,
} from "../../../../apiserver/objects/directory.ts";
import { readPeerDirectory } from "../../../../apiserver/mirror/peer-directory.ts";
import { readInstalledPeers } from "../../../../mesh/connect/connection-files.ts";
import { readClusterProfile } from "../../../../mesh/contexts/cluster-directory.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createCertificateAuthority, issueAdmin } from "../../../../pki/issue.ts";

const NOW = Date.UTC(2026, 0, 1);
const PROFILE = {
  name: "east",
  id: 1,
  maxConnectedClusters: 255,
  etcdEndpoints: ["https://192.0.2.1:32379"],
  joinEndpoint: "192.0.2.1:32381",
} as const;

let west: Extract<DesiredPeer, { kind: "installed" }>;
let root: string;
let directory: ObjectDirectory;

beforeAll(async () => {
  const authority = await createCertificateAuthority("west", NOW);
  const client = await issueAdmin(authority, { cluster: "west", nowMs: NOW });
  const bundle = { authorities: [authority.certificate] };
  const endpoints = ["https://192.0.2.2:32379"];
  west = { kind: "installed", peer: { name: "west", endpoints, bundle, client } };
}, 60_000);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-objects-"));
  directory = createObjectDirectory(root, { log: silentLogger });
});

afterEach(() => rm(root, { recursive: true, force: true }));

function desired(fields: Partial<DesiredFiles>): DesiredFiles {
  return {
    profile: undefined,
    authority: undefined,
    authorityMissing: false,
    readers: undefined,
    drains: undefined,
    peers: new Map(),
    peersWhole: true,
    problems: [],
    ...fields,
  };
}

const withWest = (fields: Partial<DesiredFiles> = {}): DesiredFiles =>
  desired({ peers: new Map([["west", west]]), ...fields });

describe("createObjectDirectory()", () => {
  test("writes profile, readers and peers as everything else reads them", async () => {
    await directory.apply(withWest({ profile: PROFILE, readers: "users: []\n" }));
    expect(await readClusterProfile(root)).toEqual(PROFILE);
    expect(await readFile(join(root, "remote-users.yaml"), "utf8")).toBe("users: []\n");
    await directory.apply(withWest({ drains: "{}\n" }));
    expect(await readFile(join(root, "operations", "drains.json"), "utf8")).toBe("{}\n");
    const [peer] = await readInstalledPeers(root);
    expect(peer).toMatchObject({ name: "west", problem: undefined });
    expect((await stat(join(root, "peers", "west", "client.key"))).mode & 0o777).toBe(0o600);
  });

  test("writes nothing where nothing differs, and sets right what does", async () => {
    const wanted = withWest({ profile: PROFILE, readers: "users: []\n" });
    await directory.apply(wanted);
    const files = ["cluster.json", "remote-users.yaml", "peers/west.yaml", "peers/west/ca.crt"];
    const inodes = (): Promise<number[]> =>
      Promise.all(files.map(async (file) => (await stat(join(root, file))).ino));
    const before = await inodes();
    await directory.apply(wanted);
    expect(await inodes()).toEqual(before);
    await writeFile(join(root, "peers/west/ca.crt"), "damaged");
    await directory.apply(wanted);
    expect(await readFile(join(root, "peers/west/ca.crt"), "utf8")).toContain("BEGIN CERTIFICATE");
  });

  test("takes away what has no Secret, whole or half, but not before the list is whole", async () => {
    await directory.apply(withWest());
    await mkdir(join(root, "peers", "north"));
    await writeFile(join(root, "peers", "Not A Name.yaml"), "");
    await directory.apply(desired({ peersWhole: false }));
    expect((await readdir(join(root, "peers"))).toSorted()).toHaveLength(4);
    await directory.apply(desired({}));
    expect(await readdir(join(root, "peers"))).toEqual([]);
  });

  test("an unusable Secret leaves the last good files", async () => {
    await directory.apply(withWest());
    const unusable: DesiredPeer = { kind: "unusable", reason: "no key" };
    await directory.apply(desired({ peers: new Map([["west", unusable]]) }));
    expect((await readInstalledPeers(root))[0]?.problem).toBeUndefined();
  });

  test("and where there is none, the peer is configured all the same", async () => {
    const unusable: DesiredPeer = { kind: "unusable", reason: "first line\nusers: []" };
    await directory.apply(desired({ peers: new Map([["west", unusable]]) }));
    const entries = await readPeerDirectory(join(root, "peers"));
    expect(entries?.get("west")).toMatchObject({ file: undefined });
    expect(entries?.get("west")?.problem).toContain("want a YAML mapping");
  });

  test("remembers that the peers were whole", async () => {
    expect(await directory.isWhole()).toBe(false);
    await directory.markWhole();
    expect(await directory.isWhole()).toBe(true);
    expect(await readdir(join(root, "peers"))).toEqual([]);
  });
});

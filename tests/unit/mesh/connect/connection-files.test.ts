import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PeerInstallation } from "../../../../mesh/connect/cluster-access.ts";
import {
  deletePeer,
  hasPeerFiles,
  lockConnections,
  peerPaths,
  readInstalledPeers,
  readReaders,
  rememberPeerFiles,
  writePeer,
  writeReaders,
} from "../../../../mesh/connect/connection-files.ts";
import { issueLocal } from "../../../../pki/issue.ts";
import { readTree, writeTree } from "../../../fakes/cluster.ts";
import { createFactsMaker, FACTS_NOW_MS } from "../../../fakes/cluster-facts.ts";

let root = "";
let west: PeerInstallation;

beforeAll(async () => {
  const maker = await createFactsMaker("west", 2);
  west = {
    name: "west",
    endpoints: ["https://10.0.0.2:2379"],
    bundle: { authorities: [maker.authority.certificate] },
    client: await issueLocal(maker.authority, { cluster: "west", nowMs: FACTS_NOW_MS }),
  };
});

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-cn-files-"));
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe("peers", () => {
  test("writePeer() and readInstalledPeers() are inverse", async () => {
    expect(await readInstalledPeers(root)).toEqual([]);
    await writePeer(root, west);
    expect(await readInstalledPeers(root)).toMatchObject([
      {
        name: "west",
        endpoints: west.endpoints,
        client: { fingerprint: west.client.certificate.fingerprint },
        problem: undefined,
      },
    ]);
    expect((await stat(peerPaths(root, "west").key)).mode & 0o777).toBe(0o600);
  });

  test("readInstalledPeers() says what is wrong with a peer, and goes on", async () => {
    await writePeer(root, west);
    await writePeer(root, { ...west, name: "north" });
    await rm(peerPaths(root, "north").key);
    await writeTree(root, { "peers/Bad Name.yaml": "", "peers/.hidden.yaml": "" });
    expect(await readInstalledPeers(root)).toMatchObject([
      { name: "Bad Name", problem: expect.stringContaining("as cluster name") },
      { name: "north", client: undefined, problem: expect.stringContaining("client.key") },
      { name: "west", problem: undefined },
    ]);
  });

  test("hasPeerFiles() sees also what is left of a peer", async () => {
    expect(await hasPeerFiles(root, "west")).toBe(false);
    await writeTree(root, { "peers/west/ca.crt": "x" });
    expect(await hasPeerFiles(root, "west")).toBe(true);
  });

  test("deletePeer() removes all of one peer and nothing else", async () => {
    await writePeer(root, west);
    const before = await readTree(root);
    await writePeer(root, { ...west, name: "north" });
    await deletePeer(root, "north");
    await deletePeer(root, "north");
    expect(await readTree(root)).toEqual(before);
  });

  test("peerPaths() refuses names that lead elsewhere", () => {
    expect(() => peerPaths(root, "../../etc")).toThrow("as cluster name");
  });
});

test("writeReaders() and readReaders() are inverse", async () => {
  expect(await readReaders(root)).toEqual([]);
  await writeReaders(root, ["west", "north"]);
  expect(await readReaders(root)).toEqual(["west", "north"]);
});

describe("rememberPeerFiles()", () => {
  const states: readonly [string, () => Promise<void>][] = [
    ["nothing", () => Promise.resolve()],
    ["another peer", () => writePeer(root, { ...west, name: "north" })],
    ["the same peer", () => writePeer(root, west)],
    [
      "broken files of the peer",
      () => writeTree(root, { "peers/west.yaml": "[", "peers/west/ca.crt": "x" }),
    ],
    ["a foreign file beside the peer's", () => writeTree(root, { "peers/west/notes": "x" })],
    ["readers, strangely written", () => writeFile(join(root, "remote-users.yaml"), "users: []")],
  ];
  for (const [name, arrange] of states) {
    test(`puts back ${name} byte for byte`, async () => {
      await arrange();
      const before = await readTree(root);
      const restore = await rememberPeerFiles(root, "west");
      await writePeer(root, { ...west, endpoints: ["https://new:1"] });
      await writeReaders(root, ["west"]);
      await restore();
      expect(await readTree(root)).toEqual(before);
      await restore();
      expect(await readTree(root)).toEqual(before);
    });
  }

  test("puts back a peer that was removed", async () => {
    await writePeer(root, west);
    await writeTree(root, { "peers/west/notes": "x" });
    const before = await readTree(root);
    const restore = await rememberPeerFiles(root, "west");
    await deletePeer(root, "west");
    await restore();
    expect(await readTree(root)).toEqual(before);
  });
});

describe("lockConnections()", () => {
  test("lets one in at a time and leaves nothing behind", async () => {
    const unlock = await lockConnections(root);
    await expect(lockConnections(root)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringMatching(/process \d+ is at it$/),
    });
    await unlock();
    expect(await readTree(root)).toEqual({});
  });

  for (const [name, owner] of [
    ["a process that is dead", "999999999 1"],
    ["an earlier process of this pid", "PID 1"],
    ["nobody", ""],
  ] as const) {
    test(`takes over the lock of ${name}`, async () => {
      const pid = (await readFile("/proc/self/stat", "utf8")).split(" ")[0] ?? "";
      await writeFile(join(root, ".connect.lock"), owner.replace("PID", pid));
      const unlock = await lockConnections(root);
      await unlock();
    });
  }

  test("says so when the directory is not there", async () => {
    await expect(lockConnections(join(root, "absent"))).rejects.toThrow("Cannot lock");
  });
});

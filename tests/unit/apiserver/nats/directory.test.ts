import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  natsPaths,
  readNatsDirectory,
  writeNatsDirectory,
} from "../../../../apiserver/nats/directory.ts";

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-nats-directory-"));
});

afterAll(() => rm(root, { recursive: true }));

describe("writeNatsDirectory()", () => {
  const tls = { caBundle: "ca", certificate: "crt", key: "key" };

  test("writes what is named, secrets for its owner only, and takes away what is not", async () => {
    const directory = join(root, "a");
    expect(await readNatsDirectory(directory)).toBeUndefined();
    await writeNatsDirectory(directory, { config: "c", tls, peers: new Map([["west", tls]]) });
    const first = await readNatsDirectory(directory);
    expect(first?.config).toBe("c");
    const paths = natsPaths(directory);
    for (const path of [paths.tls.key, paths.peer("west").key, paths.config]) {
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
    await writeNatsDirectory(directory, { config: "c", tls, peers: new Map([["west", tls]]) });
    expect(await readNatsDirectory(directory)).toEqual(first);
    const other = { ...tls, certificate: "new" };
    await writeNatsDirectory(directory, { config: "c", tls: other, peers: new Map() });
    expect((await readNatsDirectory(directory))?.digest).not.toBe(first?.digest);
    expect(await readdir(join(directory, "peers"))).toEqual([]);
  });
});

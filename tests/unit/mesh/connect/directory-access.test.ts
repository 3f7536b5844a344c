import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { createDirectoryAccess } from "../../../../mesh/connect/directory-access.ts";
import { generatePrivateKey } from "../../../../pki/private-key.ts";
import { createSigningRequest } from "../../../../pki/signing-request.ts";
import { createTestCluster, readTree, type TestCluster } from "../../../fakes/cluster.ts";

const signal = new AbortController().signal;
let east: TestCluster;

beforeAll(async () => {
  east = await createTestCluster({ name: "east", id: 1 });
}, 60_000);

afterAll(() => east.close());

function access(readPeers = () => Promise.resolve([])) {
  return createDirectoryAccess({
    context: "here",
    directory: east.directory,
    apiserver: { readPeers },
    clock: systemClock,
    openStore: () => {
      throw new Error("an etcd that cannot be reached is not opened");
    },
  });
}

describe("createDirectoryAccess()", () => {
  test("readFacts() tells what is wrong instead of failing", async () => {
    const broken = (): Promise<never> => Promise.reject(new MeshError("unavailable", "no socket"));
    expect(await access(broken).readFacts(signal)).toMatchObject({
      context: "here",
      profile: { name: "east", id: 1 },
      endpoints: [{ answer: { kind: "unreachable" } }],
      advertised: undefined,
      apiserverProblem: "no socket",
      prefixes: [],
      peers: [],
      readers: [],
    });
  });

  test("admitReader() and expelReader() are idempotent", async () => {
    const own = access();
    await own.admitReader("west");
    const once = await readTree(east.directory);
    await own.admitReader("west");
    expect(await readTree(east.directory)).toEqual(once);
    expect((await own.readFacts(signal)).readers).toEqual(["west"]);
    await own.expelReader("west");
    await own.expelReader("west");
    expect((await own.readFacts(signal)).readers).toEqual([]);
  });

  test("signReader() names the certificate after the reader", async () => {
    const request = createSigningRequest("north", await generatePrivateKey(2048));
    expect(await access().signReader("west", request)).toMatchObject({ commonName: "remote-west" });
  });

  test("rejects with the file's name when the directory is not in order", async () => {
    await rm(join(east.directory, "pki", "ca-bundle.crt"));
    await expect(access().readFacts(signal)).rejects.toThrow("ca-bundle.crt");
    await writeFile(join(east.directory, "cluster.json"), "{");
    await expect(access().readProfile()).rejects.toThrow("cluster.json");
  });
});

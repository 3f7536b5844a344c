import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLinkedPeers, weDial } from "../../../../apiserver/nats/peers.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-nats-peers-"));
  for (const name of ["ca", "crt", "key"]) await writeFile(join(directory, name), name);
});

afterAll(() => rm(directory, { recursive: true }));

describe("readLinkedPeers()", () => {
  const entry = (name: string, key = "key") => ({
    name,
    file: {
      endpoints: [],
      trustedCaFile: join(directory, "ca"),
      certFile: join(directory, "crt"),
      keyFile: join(directory, key),
    },
    problem: "",
    fingerprint: "",
  });
  const read = (...entries: ReturnType<typeof entry>[]) =>
    readLinkedPeers({
      cluster: "east",
      entries: [...entries, { ...entry("broken"), file: undefined }],
      leafEndpoints: (peer) => (peer === "silent" ? [] : [`${peer}:1`]),
    });

  test("dials those with larger names, and lets the others dial", async () => {
    expect([weDial("east", "west"), weDial("west", "east")]).toEqual([true, false]);
    const tls = { caBundle: "ca", certificate: "crt", key: "key" };
    expect(await read(entry("west"), entry("alpha"), entry("east"))).toEqual([
      { name: "west", dial: { endpoints: ["west:1"], tls } },
      { name: "alpha", dial: undefined },
    ]);
  });

  test("leaves out whom it cannot dial: it is not known where, or not with what", async () => {
    expect(await read(entry("silent"), entry("west", "missing"))).toEqual([]);
  });
});

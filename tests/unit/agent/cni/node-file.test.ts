import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseNodeFile, readNodeFile } from "../../../../agent/cni/node-file.ts";

const FILE = {
  nodeName: "node1",
  podPrefixes: ["10.1.1.0/24", "fd00::/64"],
  routerAddresses: ["10.1.1.1", "fd00::1"],
  mtu: 1450,
  bpfRoot: "/b",
};
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-node-"));
});
afterAll(() => rm(directory, { recursive: true }));

describe("parseNodeFile()", () => {
  test("reads what the agent writes", () => {
    const node = parseNodeFile(FILE);
    expect(node.podPrefixes.map(({ text }) => text)).toEqual(FILE.podPrefixes);
    expect(node.routerAddresses.map(({ text }) => text)).toEqual(FILE.routerAddresses);
  });

  test("reads a node whose pods get their addresses elsewhere", () => {
    const node = parseNodeFile({ ...FILE, podPrefixes: [], routerAddresses: [] });
    expect(node).toMatchObject({ podPrefixes: [], routerAddresses: [] });
  });

  for (const [what, change] of [
    ["no name", { nodeName: "" }],
    ["an MTU that IPv6 cannot use", { mtu: 1279 }],
    ["prefixes that are no list", { podPrefixes: "10.1.1.0/24" }],
    ["a prefix that is none", { podPrefixes: ["10.1.1.1/24"] }],
    ["a family without router", { routerAddresses: ["10.1.1.1"] }],
    ["a relative bpf root", { bpfRoot: "b" }],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => parseNodeFile({ ...FILE, ...change })).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    });
  }
});

describe("readNodeFile()", () => {
  test("asks to try again while there is no file, and names a broken one", async () => {
    await expect(readNodeFile(directory)).rejects.toMatchObject({ code: "unavailable" });
    await writeFile(join(directory, "cni-node.json"), "{");
    await expect(readNodeFile(directory)).rejects.toMatchObject({ code: "data_loss" });
    await writeFile(join(directory, "cni-node.json"), JSON.stringify(FILE));
    expect((await readNodeFile(directory)).nodeName).toBe("node1");
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disconnectCommand } from "../../../../mesh/commands/disconnect.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import {
  createTestCluster,
  readTree,
  writeTree,
  type TestCluster,
} from "../../../fakes/cluster.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";
let east: TestCluster;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
  east = await createTestCluster({ name: "east", id: 1 });
  const networkNamespace = undefined;
  await writeContext(home, { name: "east", directory: east.directory, networkNamespace });
  await writeContext(home, { name: "gone", directory: "/nowhere/gone", networkNamespace });
}, 60_000);

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await east.close();
});

beforeEach(async () => {
  for (const peer of ["gone", "west"]) {
    await writeTree(east.directory, {
      [`peers/${peer}.yaml`]: "endpoints: []",
      [`peers/${peer}/ca.crt`]: "x",
    });
  }
});

describe("mesh disconnect", () => {
  for (const [args, message] of [
    [[], "Cannot disconnect: want a context and a peer, got 0 names"],
    [["east"], "Cannot disconnect: want a context and a peer, got 1 names"],
    [["east", "a", "b"], "got 3 names"],
    [["nowhere", "east"], 'Cannot find context "nowhere"'],
    [["east", "east"], 'Cannot disconnect cluster "east" from itself'],
  ] as const) {
    test(`refuses ${JSON.stringify(args.join(" "))}`, async () => {
      await expect(disconnectCommand.run(args, createTestContext(home))).rejects.toThrow(message);
    });
  }

  for (const [peer, why] of [
    ["gone", 'Cannot read cluster profile "/nowhere/gone/cluster.json"'],
    ["west", 'Cannot find context "west"'],
  ] as const) {
    test(`cleans the own side when the peer is gone (${peer}), and says so`, async () => {
      const context = createTestContext(home);
      expect(await disconnectCommand.run(["east", peer], context)).toBe(0);
      expect(context.err()).toContain(`"${peer}" cannot be reached (${why}`);
      expect(context.err()).toContain("east: what it would lose is not known: Cannot ");
      expect(context.out()).toBe(`Disconnected: east and ${peer} (only the side of east)\n`);
      const left = Object.keys(await readTree(east.directory));
      expect(left.filter((path) => path.includes(peer))).toEqual([]);
    }, 60_000);
  }

  test("changes nothing in a dry run", async () => {
    const before = await readTree(east.directory);
    const context = createTestContext(home);
    const args = ["east", "west", "--dry-run", "--output", "json"];
    expect(await disconnectCommand.run(args, context)).toBe(0);
    expect(JSON.parse(context.out())).toMatchObject({ outcome: "planned", sides: ["east"] });
    expect(await readTree(east.directory)).toEqual(before);
  }, 60_000);
});

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { factsCommand } from "../../../../mesh/commands/facts.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";
let west: TestCluster;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-facts-home-"));
  west = await createTestCluster({ name: "west", id: 2 });
}, 60_000);

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await west.close();
});

describe("mesh facts", () => {
  test("wants to know which cluster when this machine has none, or several", async () => {
    const run = () => factsCommand.run([], createTestContext(home));
    await expect(run()).rejects.toThrow("Cannot choose a context: want --context NAME");
    const { directory } = west;
    await writeContext(home, { name: "west", directory, networkNamespace: undefined });
    await writeContext(home, { name: "north", directory, networkNamespace: undefined });
    await expect(run()).rejects.toThrow("Cannot choose a context: want --context NAME");
  });

  test("prints what is known, also when etcd does not answer", async () => {
    const context = createTestContext(home);
    expect(await factsCommand.run(["--context", "west"], context)).toBe(0);
    expect(JSON.parse(context.out())).toMatchObject({
      facts: { name: "west", id: 2, prefixes: [] },
      endpoints: [{ answer: { kind: "unreachable" } }],
    });
  });
});

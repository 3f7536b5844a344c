import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectCommand, describeFindings } from "../../../../mesh/commands/connect.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestCluster, readTree, type TestCluster } from "../../../fakes/cluster.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";
let clusters: TestCluster[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
  clusters = await Promise.all(
    ["east", "west"].map((name, index) => createTestCluster({ name, id: index + 1 })),
  );
  for (const { name, directory } of clusters) {
    await writeContext(home, { name, directory, networkNamespace: undefined });
  }
  await writeContext(home, { name: "far", directory: "/x", networkNamespace: "/run/netns/x" });
}, 60_000);

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  for (const cluster of clusters) await cluster.close();
});

describe("mesh connect", () => {
  const cases: readonly [readonly string[], string][] = [
    [[], "Cannot connect: want two contexts or more, got 0"],
    [["east"], "Cannot connect: want two contexts or more, got 1"],
    [["east", "west", "far"], "Cannot connect 3 contexts at once"],
    [["east", "east"], 'Cannot connect "east" to itself: name each context once'],
    [["east", "nowhere"], 'Cannot find context "nowhere"'],
    [["east", "far"], 'Cannot use contexts "east" and "far" together'],
    [["east", "west", "--output", "xml"], 'Cannot use --output "xml": want table or json'],
  ];
  for (const [args, message] of cases) {
    test(`refuses ${JSON.stringify(args.join(" "))}`, async () => {
      await expect(connectCommand.run(args, createTestContext(home))).rejects.toThrow(message);
    });
  }

  test("tells every finding with its hint, changes nothing and exits with 1", async () => {
    const before = await Promise.all(clusters.map(({ directory }) => readTree(directory)));
    const context = createTestContext(home);
    expect(await connectCommand.run(["east", "west"], context)).toBe(1);
    expect(context.out()).toBe("Not connected: east, west. Nothing was changed.\n");
    expect(context.err()).toMatch(/^error: The etcd of cluster "east" does not answer at /m);
    expect(context.err()).toMatch(/^ {2}hint: /m);
    expect(await Promise.all(clusters.map(({ directory }) => readTree(directory)))).toEqual(before);
  });

  test("says the same as JSON", async () => {
    const context = createTestContext(home);
    expect(await connectCommand.run(["east", "west", "--output", "json"], context)).toBe(1);
    expect(JSON.parse(context.out())).toMatchObject({
      outcome: "refused",
      clusters: ["east", "west"],
      findings: expect.arrayContaining([
        expect.objectContaining({ rule: "apiserver-unreachable", severity: "error" }),
      ]),
      steps: [],
    });
  });
});

test("describeFindings() is empty for none", () => {
  expect(describeFindings([], { write: () => {}, colour: false })).toBe("");
});

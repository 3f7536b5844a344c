import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inviteCommand } from "../../../../mesh/commands/invite.ts";
import { parseInviteToken } from "../../../../mesh/connect/invite-token.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";
let west: TestCluster;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
  west = await createTestCluster({ name: "west", id: 2, joinEndpoint: "10.0.0.2:2390" });
  const { directory } = west;
  await writeContext(home, { name: "west", directory, networkNamespace: undefined });
}, 60_000);

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await west.close();
});

describe("mesh invite", () => {
  for (const [args, message] of [
    [[], "Cannot invite: name the inviting cluster with --context"],
    [["west"], "Cannot invite: name the inviting cluster with --context"],
    [["--context", "nowhere"], 'Cannot find context "nowhere"'],
    [["--context", "west", "--ttl", "1s"], 'Cannot use "1s" as time to live'],
  ] as const) {
    test(`refuses ${JSON.stringify(args.join(" "))} and opens nothing`, async () => {
      await expect(inviteCommand.run(args, createTestContext(home))).rejects.toThrow(message);
      expect(await readdir(west.directory)).not.toContain("invites");
    });
  }

  test("prints a token alone on stdout", async () => {
    const context = createTestContext(home);
    expect(await inviteCommand.run(["--context", "west", "--ttl", "1h"], context)).toBe(0);
    const token = parseInviteToken(context.out());
    expect(token).toMatchObject({
      cluster: { name: "west", id: 2 },
      joinEndpoints: ["10.0.0.2:2390"],
    });
    expect(token.expiresAtMs - Date.now()).toBeLessThanOrEqual(3_600_000);
    expect(await readdir(join(west.directory, "invites"))).toEqual([`${token.inviteId}.json`]);
  });

  test("prints JSON", async () => {
    const context = createTestContext(home);
    await inviteCommand.run(["--context", "west", "--output", "json"], context);
    const { token, cluster } = JSON.parse(context.out()) as { token: string; cluster: object };
    expect(parseInviteToken(token).cluster).toEqual(cluster);
  });
});

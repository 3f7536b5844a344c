import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinCommand } from "../../../../mesh/commands/join.ts";
import { createInviteSecret, encodeInviteToken } from "../../../../mesh/connect/invite-token.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";
let east: TestCluster;
const expired = encodeInviteToken({
  cluster: { name: "west", id: 2, maxConnectedClusters: 255 },
  joinEndpoints: ["127.0.0.1:1"],
  caFingerprint: "AA".repeat(32),
  inviteId: "0011223344556677",
  secret: createInviteSecret(),
  expiresAtMs: Date.UTC(2026, 0, 1),
});

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
  east = await createTestCluster({ name: "east", id: 1 });
  const { directory } = east;
  await writeContext(home, { name: "east", directory, networkNamespace: undefined });
  await writeFile(join(home, "token"), `${expired}\n`);
}, 60_000);

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await east.close();
});

describe("mesh join", () => {
  const wantOne = "Cannot join: want one token, as a word or with --token-file";
  const cases: readonly [string, () => readonly string[], string][] = [
    ["no token", () => ["--context", "east"], wantOne],
    ["two tokens", () => ["a", "b", "--context", "east"], wantOne],
    ["a word and a file", () => ["a", "--token-file", "b", "--context", "east"], wantOne],
    ["no context", () => [expired], "Cannot join: name the joining cluster with --context"],
    ["no token file", () => ["--token-file", "/nowhere", "--context", "east"], 'from "/nowhere"'],
    ["what is no token", () => ["hello", "--context", "east"], "it is no invitation"],
    ["a cut token", () => [expired.slice(0, 60), "--context", "east"], "it was cut off"],
    [
      "an unknown context",
      () => [expired, "--context", "nowhere"],
      'Cannot find context "nowhere"',
    ],
    [
      "an expired token",
      () => [expired, "--context", "east"],
      "it expired at 2026-01-01T00:00:00Z",
    ],
    [
      "an expired token in a file",
      () => ["--token-file", join(home, "token"), "--context", "east"],
      "it expired at 2026-01-01T00:00:00Z",
    ],
  ];
  for (const [name, args, message] of cases) {
    test(`refuses ${name}`, async () => {
      const clock = { ...createTestContext(home).clock, nowMs: () => Date.UTC(2026, 0, 2) };
      const context = { ...createTestContext(home), clock };
      await expect(joinCommand.run(args(), context)).rejects.toThrow(message);
    });
  }
});

import { describe, expect, test } from "@jest/globals";
import { formatHealth, healthCommand, isAllReached } from "../../../../mesh/commands/health.ts";
import { HEALTH, runCommand, startAgentApi } from "../../../fakes/agent-api.ts";

const output = { write: () => {}, colour: false };

describe("healthCommand", () => {
  test("prints clusters, why, and the probed nodes", async () => {
    await using api = await startAgentApi();
    const { status, text } = await runCommand(healthCommand, ["--node", "east-1"], api);
    expect(status).toBe(0);
    expect(text).toBe(
      [
        "east-1 of cluster east probes 1 addresses, a round every 100 ms",
        "",
        "CLUSTER  FAMILY  STATE    SINCE  HELD BACK  LOSS  ROUND TRIP    USUAL  DECIDED ON",
        "west     IPv4    healthy    60s         0%    0%     0.25 ms  0.50 ms  reason answers, nodesProbed 2",
        "",
        "NODE         FAMILY  STATE  SENT  ANSWERED  LAST ANSWER  ROUND TRIP",
        "west/west-1  IPv4    up     1000       999    40 ms ago     0.25 ms",
        "",
      ].join("\n"),
    );
  });

  test("prints the same as JSON", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(healthCommand, ["--output", "json"], api);
    expect(JSON.parse(text)).toEqual(HEALTH);
  });

  test("returns 1 while a cluster is down", async () => {
    const clusters = HEALTH.clusters.map((seen) => ({ ...seen, state: "down" }));
    await using api = await startAgentApi({ health: { ...HEALTH, clusters } });
    expect((await runCommand(healthCommand, [], api)).status).toBe(1);
  });

  test("refuses words", async () => {
    await expect(runCommand(healthCommand, ["west"], { home: "/nowhere" })).rejects.toThrow(
      'Cannot use "west": name the node with --node',
    );
  });
});

test("formatHealth() says what keeps a node from knowing", () => {
  const text = formatHealth(
    {
      ...HEALTH,
      isolated: true,
      problem: "Cannot open ICMP socket",
      blindRounds: 20,
      backendsDown: 3,
      clusters: [],
      nodes: HEALTH.nodes.map((node) => ({ ...node, answered: 0, lastAnswerMsAgo: -1 })),
    },
    output,
  );
  expect(text).toContain("! nobody answers: this node's own uplink counts as down\n");
  expect(text).toContain("! Cannot open ICMP socket\n");
  expect(text).toContain("! 3 backends are down\n");
  expect(text).toContain("! 20 of 1000 rounds came too late to count");
  expect(text).toMatch(/never heard .* never /);
  expect(formatHealth({ ...HEALTH, enabled: false }, output)).toContain("switched off");
});

test("isAllReached() is about clusters that are down and about our own uplink", () => {
  expect(isAllReached(HEALTH)).toBe(true);
  expect(isAllReached({ ...HEALTH, isolated: true })).toBe(false);
});

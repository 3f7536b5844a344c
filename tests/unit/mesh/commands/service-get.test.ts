import { describe, expect, test } from "@jest/globals";
import { formatService, serviceGetCommand } from "../../../../mesh/commands/service-get.ts";
import { CART, runCommand, startAgentApi } from "../../../fakes/agent-api.ts";

const output = { write: () => {}, colour: false };

describe("serviceGetCommand", () => {
  test("prints tiers, weights and backends", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(serviceGetCommand, ["shop/cart", "--node", "east-1"], api);
    expect(text).toBe(
      [
        "shop/cart: global, affinity local",
        "",
        "[fd00:96::1]:80/TCP (port http)",
        "TIER  CLUSTER  WEIGHT  STATE                   UP  NEW CONNECTIONS         BACKENDS",
        "   0  east          1  down                   1/1  no: cluster not usable  [fd00:1::5]:8080",
        "   1  west          2  healthy, drained 25 %  1/2  100 %                   [fd00:2::5]:9090 [fd00:2::6]:9090",
        "if east fails: west 100 %",
        "if west fails: new connections are refused",
        "",
        "! Port 9/SCTP is not balanced: want TCP or UDP",
        "",
      ].join("\n"),
    );
  });

  test("prints the same as JSON", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(serviceGetCommand, ["shop/cart", "--output", "json"], api);
    expect(JSON.parse(text)).toEqual(CART);
  });

  for (const words of [[], ["cart"], ["a/b/c"], ["shop/"], ["a/b", "c/d"]]) {
    test(`refuses ${JSON.stringify(words)}`, async () => {
      await expect(runCommand(serviceGetCommand, words, { home: "/nowhere" })).rejects.toThrow(
        "Cannot show a service: want one NAMESPACE/NAME",
      );
    });
  }

  test("passes the agent's answer on that there is none", async () => {
    await using api = await startAgentApi();
    await expect(runCommand(serviceGetCommand, ["shop/none"], api)).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot find service "shop/none"',
    });
  });
});

describe("formatService()", () => {
  test("says that nobody answers, how long clients stay, and what failed", () => {
    const frontends = CART.frontends.map((frontend) => ({
      ...frontend,
      groups: [],
      sessionAffinitySeconds: 60,
      failure: "the map is full",
    }));
    const text = formatService({ ...CART, frontends, notes: [] }, output);
    expect(text.split("\n").slice(2)).toEqual([
      "[fd00:96::1]:80/TCP (port http), clients stay 60s",
      "nobody answers: new connections are refused",
      "! the map is full",
      "",
    ]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { endpointListCommand } from "../../../../mesh/commands/endpoint-list.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { ENDPOINT } from "../../../fakes/agent-policy-answers.ts";

describe("endpointListCommand", () => {
  test("prints pods, and what is wrong with one; returns 1 for that", async () => {
    await using api = await startAgentApi();
    const { status, text } = await runCommand(endpointListCommand, [], api);
    expect(status).toBe(1);
    expect(text).toBe(
      [
        "POD          IDENTITY  ADDRESSES                INGRESS  EGRESS  ENTRIES  POLICY",
        "shop/cart-1     65537  10.1.1.5 fd00:10:1:1::5  closed   open          3  in force, revision 7",
        "shop/new-1          -                           closed   open          0  problem",
        "! shop/new-1: its identity is not known yet",
        "",
      ].join("\n"),
    );
  });

  test("prints the same as JSON, without entries", async () => {
    const endpoints = [ENDPOINT];
    await using api = await startAgentApi({ policy: { endpoints } });
    const words = ["--in", "shop", "--output", "json"];
    const { status, text } = await runCommand(endpointListCommand, words, api);
    expect([status, JSON.parse(text)]).toEqual([0, [{ ...ENDPOINT, entries: [] }]]);
  });

  test("says that there are no pods", async () => {
    await using api = await startAgentApi({ policy: { endpoints: [] } });
    expect((await runCommand(endpointListCommand, [], api)).text).toBe("no pods on this node\n");
  });

  test("refuses words", async () => {
    await expect(
      runCommand(endpointListCommand, ["shop/cart-1"], { home: "/nowhere" }),
    ).rejects.toThrow('Cannot list "shop/cart-1": use `mesh endpoint get`');
  });
});

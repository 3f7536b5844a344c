import { describe, expect, test } from "@jest/globals";
import { policyListCommand } from "../../../../mesh/commands/policy-list.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { POLICY } from "../../../fakes/agent-policy-answers.ts";

describe("policyListCommand", () => {
  test("prints a line a policy, and what cannot be honoured; returns 1 for that", async () => {
    await using api = await startAgentApi();
    const { status, text } = await runCommand(policyListCommand, ["--node", "east-1"], api);
    expect(status).toBe(1);
    expect(text).toBe(
      [
        "POLICY                             RULES  CLOSES   PODS HERE  ENTRIES  STATE",
        "NetworkPolicy/shop/cart                1  ingress          1        2  in force",
        "CiliumClusterwideNetworkPolicy/l7      1  ingress          0        0  no pods here, 1 refused",
        "! CiliumClusterwideNetworkPolicy/l7 spec.ingress[0].toPorts[0].rules: L7 rules cannot be enforced: nobody",
        "",
      ].join("\n"),
    );
  });

  test("prints the policies of one namespace as JSON", async () => {
    await using api = await startAgentApi();
    const words = ["--in", "shop", "--output", "json"];
    const { status, text } = await runCommand(policyListCommand, words, api);
    expect([status, JSON.parse(text)]).toEqual([0, [POLICY]]);
  });

  test("says what no policies mean", async () => {
    await using api = await startAgentApi({ policy: { policies: [] } });
    const { text } = await runCommand(policyListCommand, [], api);
    expect(text).toBe("no policies: every pod may speak with everybody\n");
  });

  test("refuses words", async () => {
    const run = runCommand(policyListCommand, ["shop/cart"], { home: "/nowhere" });
    await expect(run).rejects.toThrow('Cannot list "shop/cart": use `mesh policy get`');
  });
});

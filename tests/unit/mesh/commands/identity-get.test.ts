import { describe, expect, test } from "@jest/globals";
import { identityGetCommand } from "../../../../mesh/commands/identity-get.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { IDENTITY } from "../../../fakes/agent-policy-answers.ts";

describe("identityGetCommand", () => {
  test("prints labels, and the rules that name it", async () => {
    const rules = [{ policy: "NetworkPolicy/shop/cart", path: "spec.ingress[0]" }];
    await using api = await startAgentApi({ policy: { identities: [{ ...IDENTITY, rules }] } });
    const { text } = await runCommand(identityGetCommand, ["131073"], api);
    expect(text).toBe(
      [
        "131073 of cluster west: 2 addresses on this node's map",
        "  k8s:app=web",
        "  k8s:io.cilium.k8s.policy.cluster=west",
        "named by the rules",
        "  NetworkPolicy/shop/cart spec.ingress[0]",
        "",
      ].join("\n"),
    );
  });

  test("prints the same as JSON", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(identityGetCommand, ["131073", "--output", "json"], api);
    expect(JSON.parse(text)).toEqual(IDENTITY);
  });

  test("refuses what is no number, and a number that nobody has", async () => {
    await using api = await startAgentApi();
    for (const words of [[], ["world"], ["0"], ["1", "2"], ["-1"]]) {
      await expect(runCommand(identityGetCommand, words, api)).rejects.toMatchObject({
        code: "invalid_argument",
      });
    }
    await expect(runCommand(identityGetCommand, ["77"], api)).rejects.toMatchObject({
      code: "not_found",
      message: "Cannot find identity 77 on this node",
    });
  });
});

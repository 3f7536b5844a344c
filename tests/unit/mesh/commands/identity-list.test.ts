import { describe, expect, test } from "@jest/globals";
import { identityListCommand } from "../../../../mesh/commands/identity-list.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { IDENTITY } from "../../../fakes/agent-policy-answers.ts";

describe("identityListCommand", () => {
  test("prints numbers, clusters and labels", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(identityListCommand, [], api);
    expect(text).toBe(
      [
        "IDENTITY  CLUSTER  ADDRESSES  LABELS",
        "       2  -                0  reserved:world",
        "  131073  west             2  k8s:app=web k8s:io.cilium.k8s.policy.cluster=west",
        "",
      ].join("\n"),
    );
  });

  test("prints those of one cluster as JSON", async () => {
    await using api = await startAgentApi();
    const words = ["--cluster", "west", "--output", "json"];
    const { text } = await runCommand(identityListCommand, words, api);
    expect(JSON.parse(text)).toEqual([IDENTITY]);
  });

  test("refuses words", async () => {
    await expect(runCommand(identityListCommand, ["2"], { home: "/nowhere" })).rejects.toThrow(
      'Cannot list "2": use `mesh identity get`',
    );
  });
});

import { describe, expect, test } from "@jest/globals";
import { policyExplainCommand } from "../../../../mesh/commands/policy-explain.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { ENDPOINT, POLICY } from "../../../fakes/agent-policy-answers.ts";

describe("policyExplainCommand", () => {
  test("prints what each direction comes to, and the policies that are about the pod", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(policyExplainCommand, ["shop/cart-1"], api);
    expect(text).toBe(
      [
        "shop/cart-1: identity 65537, k8s:app=cart k8s:io.kubernetes.pod.namespace=shop",
        "",
        "ingress: only what is allowed, because of NetworkPolicy/shop/cart",
        "RULE                                     VERDICT  PEERS                 PORTS",
        "NetworkPolicy/shop/cart spec.ingress[0]  allow    pods k8s:app=web (2)  TCP 8080",
        "",
        "egress: everything that is not denied",
        "",
      ].join("\n"),
    );
  });

  test("prints the same as JSON", async () => {
    await using api = await startAgentApi();
    const words = ["shop/cart-1", "--output", "json"];
    expect(JSON.parse((await runCommand(policyExplainCommand, words, api)).text)).toEqual({
      endpoint: { ...ENDPOINT, entries: [] },
      policies: [POLICY],
    });
  });

  test("says why a pod is closed", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(policyExplainCommand, ["shop/new-1"], api);
    expect(text).toContain("! its identity is not known yet\n");
  });

  test("passes on that there is no such pod", async () => {
    await using api = await startAgentApi();
    await expect(runCommand(policyExplainCommand, ["shop/none"], api)).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

import { describe, expect, test } from "@jest/globals";
import { endpointGetCommand } from "../../../../mesh/commands/endpoint-get.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { ENDPOINT } from "../../../fakes/agent-policy-answers.ts";

describe("endpointGetCommand", () => {
  test("prints who the pod is, costs and entries", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(endpointGetCommand, ["shop/cart-1"], api);
    expect(text.split("\n").slice(0, 4)).toEqual([
      "shop/cart-1: identity 65537",
      "labels: k8s:app=cart k8s:io.kubernetes.pod.namespace=shop",
      "addresses: 10.1.1.5 fd00:10:1:1::5 on interface 12",
      "policy: in force, revision 7; ingress closed, egress open by default; 3 of 16384 entries",
    ]);
    expect(text).toMatch(/NetworkPolicy\/shop\/cart +2\n/);
    expect(text).toMatch(/egress +allow +0 \(anybody\) +any +any +-\n/);
    expect(text).toMatch(
      /ingress +allow +65538 +TCP +8080 +NetworkPolicy\/shop\/cart spec.ingress\[0\]\n/,
    );
    expect(text).toMatch(/ingress +deny +16777216 \(198\.51\.100\.0\/24\) +TCP +8080-8095 /);
  });

  test("prints the same as JSON", async () => {
    await using api = await startAgentApi();
    const words = ["shop/cart-1", "--output", "json"];
    expect(JSON.parse((await runCommand(endpointGetCommand, words, api)).text)).toEqual(ENDPOINT);
  });

  test("says what a pod has not yet", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(endpointGetCommand, ["shop/new-1"], api);
    expect(text).toContain("shop/new-1: identity -\nlabels: not known\naddresses: none");
    expect(text).toContain("! shop/new-1: its identity is not known yet\n");
  });

  for (const words of [[], ["cart"], ["a/b/c"], ["shop/"], ["a/b", "c/d"]]) {
    test(`refuses ${JSON.stringify(words)}`, async () => {
      await expect(runCommand(endpointGetCommand, words, { home: "/nowhere" })).rejects.toThrow(
        "Cannot show a pod: want one NAMESPACE/POD",
      );
    });
  }
});

import { describe, expect, test } from "@jest/globals";
import { policyGetCommand } from "../../../../mesh/commands/policy-get.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { POLICY } from "../../../fakes/agent-policy-answers.ts";

describe("policyGetCommand", () => {
  test("prints rules, peers and pods", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(policyGetCommand, ["shop/cart"], api);
    expect(text).toBe(
      [
        "NetworkPolicy/shop/cart: in force",
        "pods of this node: shop/cart-1; map entries: 2",
        "",
        "spec: pods with k8s:app=cart; drops what comes in unless it is allowed",
        "RULE             DIRECTION  VERDICT  PEERS                 PORTS",
        "spec.ingress[0]  ingress    allow    pods k8s:app=web (2)  TCP 8080",
        "",
      ].join("\n"),
    );
  });

  test("prints what is refused, and rules without peers or ports", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(policyGetCommand, ["l7"], api);
    expect(text).toContain("spec: pods with any labels; drops what comes in");
    expect(text).toMatch(/spec\.ingress\[0\] +ingress +allow +anybody +none/);
    expect(text).toContain("! CiliumClusterwideNetworkPolicy/l7 spec.ingress[0].toPorts[0].rules");
  });

  test("prints the same as JSON", async () => {
    await using api = await startAgentApi();
    const words = ["NetworkPolicy/shop/cart", "--output", "json"];
    expect(JSON.parse((await runCommand(policyGetCommand, words, api)).text)).toEqual(POLICY);
  });

  test("wants the kind where two policies have the name", async () => {
    const other = { ...POLICY, kind: "CiliumNetworkPolicy" };
    await using api = await startAgentApi({ policy: { policies: [POLICY, other] } });
    await expect(runCommand(policyGetCommand, ["shop/cart"], api)).rejects.toMatchObject({
      code: "invalid_argument",
      hint: "there are: NetworkPolicy/shop/cart, CiliumNetworkPolicy/shop/cart",
    });
  });

  test("refuses a policy that is not there, and no name", async () => {
    await using api = await startAgentApi();
    await expect(runCommand(policyGetCommand, ["shop/none"], api)).rejects.toMatchObject({
      code: "not_found",
      message: `Cannot find policy "shop/none" in this node's cluster`,
    });
    await expect(runCommand(policyGetCommand, [], api)).rejects.toThrow("want one NAMESPACE/NAME");
  });
});

import { describe, expect, test } from "@jest/globals";
import {
  formatGroups,
  formatScope,
  serviceListCommand,
} from "../../../../mesh/commands/service-list.ts";
import { CART, runCommand, startAgentApi } from "../../../fakes/agent-api.ts";

describe("serviceListCommand", () => {
  test("prints a line a frontend, and one for a service without any", async () => {
    await using api = await startAgentApi({
      services: [CART, { ...CART, name: "headless", global: false, frontends: [] }],
    });
    const { text } = await runCommand(serviceListCommand, ["--node", "east-1"], api);
    expect(text).toBe(
      [
        "SERVICE        SCOPE    AFFINITY  FRONTEND             BACKENDS",
        "shop/cart      global   local     [fd00:96::1]:80/TCP  (east 1), west 2*",
        "shop/headless  cluster  -         -                    -",
        "",
      ].join("\n"),
    );
  });

  test("asks for one namespace", async () => {
    await using api = await startAgentApi();
    const args = ["--namespace", "bank", "--output", "json"];
    expect(JSON.parse((await runCommand(serviceListCommand, args, api)).text)).toEqual([]);
  });

  test("points to `mesh service get` for a word", async () => {
    await expect(runCommand(serviceListCommand, ["cart"], { home: "/nowhere" })).rejects.toThrow(
      'Cannot list "cart"',
    );
  });
});

describe("formatGroups()", () => {
  const [group] = CART.frontends[0]?.groups ?? [];
  if (group === undefined) throw new Error("no group");
  const cases = [
    [[], "nobody"],
    [[{ ...group, usable: true }], "east 1"],
    [[{ ...group, cluster: "", clusterId: 7 }], "(id 7 1)"],
  ] as const;
  for (const [groups, wanted] of cases) {
    test(`says "${wanted}"`, () => expect(formatGroups(groups)).toBe(wanted));
  }
});

describe("formatScope()", () => {
  test("tells a global service that is not shared", () => {
    expect(formatScope({ ...CART, shared: false })).toBe("global, not shared");
  });
});

import { describe, expect, test } from "@jest/globals";
import { observeCommand, parseObserveRequest } from "../../../../mesh/commands/observe.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { FLOW, WORLD_FLOW } from "../../../fakes/agent-policy-answers.ts";

describe("observeCommand", () => {
  test("prints a line a record, and what was lost between", async () => {
    await using api = await startAgentApi();
    const { status, text } = await runCommand(observeCommand, [], api);
    expect(status).toBe(0);
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe("! 4 records were lost: they came faster than read");
  });

  test("prints a JSON object a line", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(observeCommand, ["--output", "json"], api);
    const lines = text.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      FLOW,
      { lost: 4 },
      WORLD_FLOW,
    ]);
  });

  test("refuses words", async () => {
    await expect(runCommand(observeCommand, ["shop"], { home: "/nowhere" })).rejects.toThrow(
      'Cannot use "shop": want flags only',
    );
  });
});

describe("parseObserveRequest()", () => {
  test("asks for the last twenty of everything unless told otherwise", () => {
    expect(parseObserveRequest({})).toEqual({
      last: 20,
      follow: false,
      clusters: [],
      namespaces: [],
      pods: [],
      labels: [],
      verdicts: [],
      protocols: [],
      ports: [],
    });
  });

  test("takes every choice of every flag", () => {
    const request = parseObserveRequest({
      last: "0",
      follow: true,
      pod: ["shop/cart-1", "shop/web-1"],
      in: ["shop"],
      cluster: ["west"],
      label: ["app=cart", "reserved:world=", "k8s:app=web"],
      verdict: ["dropped"],
      protocol: ["tcp", "icmpv6"],
      port: ["8080"],
    });
    expect(request).toEqual({
      last: 0,
      follow: true,
      clusters: ["west"],
      namespaces: ["shop"],
      pods: ["shop/cart-1", "shop/web-1"],
      labels: ["k8s:app=cart", "reserved:world=", "k8s:app=web"],
      verdicts: ["dropped"],
      protocols: ["TCP", "ICMPv6"],
      ports: [8080],
    });
  });

  for (const wrong of [
    { last: "many" },
    { last: "100001" },
    { pod: ["cart"] },
    { label: ["app"] },
    { verdict: ["lost"] },
    { protocol: ["GRE"] },
    { port: ["65536"] },
  ]) {
    test(`refuses ${JSON.stringify(wrong)}`, () => {
      expect(() => parseObserveRequest(wrong)).toThrow(/^Cannot use --/);
    });
  }
});

import { describe, expect, test } from "@jest/globals";
import { flowFilter } from "../../../../agent/observe/filter.ts";
import type { AgentFlow, ObserveRequest } from "../../../../mesh/api/policy-messages.ts";
import { FLOW } from "../../../fakes/agent-policy-answers.ts";

const EVERYTHING: ObserveRequest = {
  last: 0,
  follow: false,
  clusters: [],
  namespaces: [],
  pods: [],
  labels: [],
  verdicts: [],
  protocols: [],
  ports: [],
};

function passes(request: Partial<ObserveRequest>, flow: Partial<AgentFlow> = {}): boolean {
  return flowFilter({ ...EVERYTHING, ...request })({ ...FLOW, ...flow });
}

describe("flowFilter()", () => {
  test("without conditions everything passes, what has no ends as well", () => {
    expect(passes({})).toBe(true);
    expect(passes({}, { source: null, destination: null })).toBe(true);
    expect(passes({ clusters: ["east"] }, { source: null, destination: null })).toBe(false);
  });

  test.each([
    ["a cluster of either end", { clusters: ["west"] }, true],
    ["another cluster", { clusters: ["north"] }, false],
    ["one of several", { clusters: ["north", "east"] }, true],
    ["a namespace", { namespaces: ["shop"] }, true],
    ["another namespace", { namespaces: ["bank"] }, false],
    ["a pod", { pods: ["shop/web-1"] }, true],
    ["a pod of another namespace", { pods: ["bank/web-1"] }, false],
    ["ends by different lists", { pods: ["shop/cart-1"], clusters: ["west"] }, true],
    ["lists that do not all hold", { pods: ["shop/cart-1"], clusters: ["north"] }, false],
    ["a label", { labels: ["k8s:app=web"] }, true],
    ["a label of any source", { labels: ["app=web"] }, true],
    ["a label's key", { labels: ["k8s:app"] }, true],
    ["a label's key of any source", { labels: ["app"] }, true],
    ["a part of a label", { labels: ["app=we"] }, false],
    ["a part of a key", { labels: ["ap"] }, false],
    ["a verdict", { verdicts: ["dropped"] }, true],
    ["another verdict", { verdicts: ["forwarded"] }, false],
    ["a protocol in any case", { protocols: ["tcp"] }, true],
    ["another protocol", { protocols: ["UDP"] }, false],
    ["the destination's port", { ports: [8_080] }, true],
    ["the source's port", { ports: [40_000] }, false],
  ])("%s", (_, request, expected) => {
    expect(passes(request)).toBe(expected);
  });

  test("refuses a verdict that there is not", () => {
    expect(() => flowFilter({ ...EVERYTHING, verdicts: ["allowed"] })).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });
});

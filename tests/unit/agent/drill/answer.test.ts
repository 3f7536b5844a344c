// Each question reaches the part that answers it; what this node does not do is refused in words.
import { describe, expect, test } from "@jest/globals";
import { answerQuestion, type AnswerParts } from "../../../../agent/drill/answer.ts";
import type { Question } from "../../../../mesh/operations/questions.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const signal = new AbortController().signal;

function setup(): { parts: AnswerParts; did: unknown[] } {
  const did: unknown[] = [];
  const parts: AnswerParts = {
    cluster: "east",
    node: "east-1",
    version: "1",
    peers: () => ["west"],
    clusterId: (name) => (name === "west" ? 2 : undefined),
    injector: {
      inject: async (request) => void did.push(request),
      lift: async (drill) => void did.push(drill),
    },
    canaries: {
      order: async (request) => void did.push(request),
      records: () => ({ orders: [] }),
    },
    services: (after) => ({ services: [], more: after === "" }),
    snapshot: async () => ({ digests: {}, rows: {} }),
    countFlows: async ({ clusterId }) => ({ established: clusterId, connecting: 0, reset: 0 }),
    health: () => ({ clusters: [], isolated: true }),
    timeline: (sinceMs) => [{ timeMs: sinceMs, what: "suspect", cluster: "west", text: "" }],
    clock: createFakeClock(1_000),
  };
  return { parts, did };
}

describe("answerQuestion()", () => {
  const orders: [] = [];
  for (const [question, answer] of [
    [
      { ask: "hello" },
      { cluster: "east", node: "east-1", version: "1", timeMs: 1_000, nodes: [], peers: ["west"] },
    ],
    [
      { ask: "services", after: "" },
      { services: [], more: true },
    ],
    [{ ask: "health" }, { clusters: [], isolated: true }],
    [{ ask: "snapshot" }, { digests: {}, rows: {} }],
    [
      { ask: "flows", service: "a/b", peer: "west" },
      { established: 2, connecting: 0, reset: 0 },
    ],
    [{ ask: "canary-records", drill: "d", from: [] }, { orders: [] }],
    [
      { ask: "timeline", sinceMs: 5 },
      { entries: [{ timeMs: 5, what: "suspect", cluster: "west", text: "" }] },
    ],
  ] as const) {
    test(`answers "${question.ask}"`, async () => {
      expect(await answerQuestion(setup().parts, question as Question, signal)).toEqual(answer);
    });
  }

  test("has done what it says is done", async () => {
    const { parts, did } = setup();
    const inject = { ask: "inject", drill: "d", faults: [], ttlMs: 1 } as const;
    const canaries = { ask: "canaries", drill: "d", orders, ttlMs: 1 } as const;
    for (const question of [inject, { ask: "lift", drill: "d" } as const, canaries]) {
      expect(await answerQuestion(parts, question, signal)).toEqual({ done: true });
    }
    expect(did).toEqual([inject, "d", canaries]);
  });

  test("refuses what is asked of the wrong program, and clusters that it does not know", async () => {
    const { parts } = setup();
    const unlock = answerQuestion(parts, { ask: "unlock", drill: "" }, signal);
    await expect(unlock).rejects.toThrow(/a question for the apiserver/);
    const flows = answerQuestion(parts, { ask: "flows", service: "a/b", peer: "north" }, signal);
    await expect(flows).rejects.toThrow(/"east-1" does not know it/);
  });
});

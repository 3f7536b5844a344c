import { describe, expect, test } from "@jest/globals";
import { parseQuestion, QUESTION_MAX_BYTES } from "../../../../mesh/operations/parse-question.ts";
import type { Question } from "../../../../mesh/operations/questions.ts";

const FAULT = {
  peer: "west",
  direction: "both",
  flowPercent: 100,
  dropPercent: 10,
  refuse: false,
  slow: false,
} as const;
const ORDER = {
  service: "shop/cart",
  target: "udp:[fd00::1]:80",
  protocol: "echo",
  perSecond: 500,
  timeoutMs: 1_000,
  keepOne: true,
} as const;
const QUESTIONS: readonly Question[] = [
  { ask: "hello" },
  { ask: "services", after: "shop/cart" },
  { ask: "health" },
  { ask: "snapshot" },
  { ask: "flows", service: "shop/cart", peer: "west" },
  { ask: "inject", drill: "d-1", faults: [FAULT, { ...FAULT, peer: "" }], ttlMs: 5_000 },
  { ask: "break", drill: "d-1", fault: "nats-kill", ttlMs: 0 },
  { ask: "lift", drill: "" },
  { ask: "lock", drill: "d-1", holder: "ann on laptop", ttlMs: 30_000, renew: true },
  { ask: "unlock", drill: "d-1" },
  { ask: "canaries", drill: "d-1", orders: [ORDER], ttlMs: 60_000 },
  { ask: "canary-records", drill: "d-1", from: [0, 17] },
  { ask: "timeline", sinceMs: 1_700_000_000_000 },
];
const parse = (value: unknown): Question => parseQuestion(Buffer.from(JSON.stringify(value)));

describe("parseQuestion()", () => {
  for (const question of QUESTIONS) {
    test(`reads "${question.ask}", without what nobody knows`, () => {
      expect(parse({ ...question, more: 1 })).toEqual(question);
    });
  }

  const inject = { ask: "inject", drill: "d-1", faults: [FAULT], ttlMs: 5_000 };
  const canaries = { ask: "canaries", drill: "d-1", orders: [ORDER], ttlMs: 60_000 };
  for (const [what, question] of Object.entries({
    "what nobody asks": { ask: "shell" },
    "no question": {},
    "a fault that lasts": { ...inject, ttlMs: 60_000 },
    "more than all packets": { ...inject, faults: [{ ...FAULT, dropPercent: 101 }] },
    "a fault that is none": { ...inject, faults: ["all"] },
    "too many faults": { ...inject, faults: Array.from({ length: 1_025 }, () => FAULT) },
    "a drill with a wildcard": { ...inject, drill: "*" },
    "a flood of canaries": { ...canaries, orders: [{ ...ORDER, perSecond: 1e9 }] },
    "canaries to anywhere": { ...canaries, orders: [{ ...ORDER, target: "file:///etc" }] },
    "records of nothing": { ask: "canary-records", drill: "d-1", from: [-1] },
    "another daemon": { ask: "break", drill: "d", fault: "init", ttlMs: 1 },
  })) {
    test(`refuses ${what}`, () => {
      expect(() => parse(question)).toThrow(/^Cannot use question: "/);
    });
  }

  test("refuses what is too long, too deep or no JSON", () => {
    const long = Buffer.alloc(QUESTION_MAX_BYTES + 1, " ");
    expect(() => parseQuestion(long)).toThrow(`want at most ${QUESTION_MAX_BYTES} bytes`);
    expect(() => parseQuestion(Buffer.from("["))).toThrow("that are not JSON");
    const deep = Buffer.from(`{"ask":${"[".repeat(5_000)}${"]".repeat(5_000)}}`);
    expect(() => parseQuestion(deep)).toThrow("want at most 12 levels");
  });
});

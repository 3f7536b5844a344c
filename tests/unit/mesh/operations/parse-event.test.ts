import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { EVENT_MAX_BYTES, type MeshEvent } from "../../../../mesh/operations/event.ts";
import { parseEvent } from "../../../../mesh/operations/parse-event.ts";

const EVENT: MeshEvent = {
  id: "1",
  timeMs: 1_700_000_000_000,
  cluster: "east",
  node: "east-node1",
  kind: "cluster-health",
  severity: "warning",
  subject: "west",
  from: "healthy",
  to: "suspect",
  text: "No answer from any node",
  evidence: { silentMs: 300, node: "west-node1" },
};
const SUBJECT = "tombolo.events.east.cluster-health";
const parse = (value: unknown, subject = SUBJECT): MeshEvent =>
  parseEvent({ subject, data: Buffer.from(JSON.stringify(value)) });

describe("parseEvent()", () => {
  test("reads an event, and nothing besides what it knows", () => {
    expect(parse(EVENT)).toEqual(EVENT);
    expect(parse({ ...EVENT, more: 1 })).toEqual(EVENT);
  });

  test("refuses one that speaks for another cluster or kind than its subject", () => {
    const other = "it names another cluster or kind";
    expect(() => parse({ ...EVENT, cluster: "west" })).toThrow(other);
    expect(() => parse(EVENT, "tombolo.events.east.drain")).toThrow(other);
    expect(() => parse(EVENT, "nonsense")).toThrow(other);
  });

  for (const [what, change] of Object.entries({
    "no text": { text: undefined },
    "a text that turns the terminal around": { text: "\u202e" },
    "an escape": { subject: "\u001b[31m" },
    "a long text": { text: "x".repeat(5_000) },
    "another kind": { kind: "x" },
    "another severity": { severity: "x" },
    "time as text": { timeMs: "now" },
    "nested evidence": { evidence: { a: {} } },
    "too much evidence": {
      evidence: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`n${n}`, n])),
    },
    "evidence as a list": { evidence: [] },
  })) {
    test(`refuses ${what}`, () => {
      expect(() => parse({ ...EVENT, ...change })).toThrow(/^Cannot use event: "/);
    });
  }

  test("refuses what is too long or no JSON object", () => {
    expect(() => parse({ ...EVENT, more: "x".repeat(EVENT_MAX_BYTES) })).toThrow("want at most");
    for (const data of ["", "[]", "null", '"x"', "{"]) {
      expect(() => parseEvent({ subject: SUBJECT, data: Buffer.from(data) })).toThrow(
        /^Cannot use event/,
      );
    }
  });

  test("reads or refuses whatever it is given", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json().map((text) => Buffer.from(text)),
          fc.uint8Array(),
        ),
        (data) => {
          try {
            parseEvent({ subject: SUBJECT, data: Buffer.from(data) });
          } catch (error) {
            expect(isMeshError(error, "invalid_argument")).toBe(true);
          }
        },
      ),
    );
  });
});

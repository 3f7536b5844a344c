// What is common to all JSON records: text, depth, lengths, and messages that fit a status line.
import { describe, expect, test } from "@jest/globals";
import {
  JSON_MAX_DEPTH,
  openRecord,
  refusal,
  REFUSAL_MAX_LENGTH,
  show,
  textFromRecord,
  textIsAllowed,
  type RecordFields,
} from "../../../../../mesh/kvstore/records/record-fields.ts";

const SUBJECT = { kind: "node", name: "worker-1" };
const open = (text: string | Buffer): RecordFields => openRecord(SUBJECT, Buffer.from(text));

describe("openRecord()", () => {
  for (const [what, value, reason] of [
    ["nothing", "", /got 0 bytes that are not JSON/],
    ["half of an object", '{"a":', /got 5 bytes that are not JSON/],
    ["two objects", "{}{}", /not JSON/],
    ["a mark of byte order", "\ufeff{}", /not JSON/],
    ["a list", "[1]", /want a JSON object, got a list of 1/],
    ["null", "null", /got null/],
    ["a number", "17", /got 17/],
    ["bytes that are not UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), /want UTF-8 text/],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => open(value)).toThrow(reason);
    });
  }

  test("refuses what is nested too deep, and does not count brackets in texts", () => {
    const nested = (depth: number): string =>
      `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
    expect(open(nested(JSON_MAX_DEPTH)).has("a")).toBe(true);
    expect(() => open(nested(JSON_MAX_DEPTH + 1))).toThrow(/nested at most 16 deep/);
    expect(open(`{"a":${JSON.stringify('["\\'.repeat(100))}}`).has("a")).toBe(true);
  });

  for (const [what, text] of [
    ["open brackets", "[".repeat(1_500_000)],
    ["open objects", '{"a":'.repeat(300_000)],
    ["quotes", '"'.repeat(1_500_001)],
    ["backslashes", `{"a":"${"\\".repeat(1_500_001)}"}`],
    ["keys", `{${Array.from({ length: 150_000 }, (_, i) => `"${i}":0`).join()}`],
  ] as const) {
    test(`refuses a megabyte of ${what} quickly`, () => {
      const start = performance.now();
      expect(() => open(text)).toThrow(/Cannot use node "worker-1"/);
      expect(performance.now() - start).toBeLessThan(5_000);
    });
  }

  test("keeps __proto__ a key like any other", () => {
    const fields = open('{"__proto__":{"has":true},"a":1}');
    expect(fields.keys(2)).toEqual(["__proto__", "a"]);
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
    expect(fields.has("has")).toBe(false);
  });
});

describe("textFromRecord()", () => {
  test("is the text", () => {
    expect(textFromRecord(SUBJECT, Buffer.from("grüße"))).toBe("grüße");
  });
});

describe("refusal()", () => {
  test("names the record in one printable line of bounded length", () => {
    const error = refusal(
      { kind: "service", name: `\u001b[31m${"x".repeat(500)}` },
      "y".repeat(500),
    );
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toHaveLength(REFUSAL_MAX_LENGTH);
    expect(error.message).toMatch(/^Cannot use service "\\u001b\[31mx+\.\.\.": y+\.\.\.$/);
  });
});

describe("show()", () => {
  for (const [value, wanted] of [
    [undefined, "missing"],
    [null, "null"],
    [7, "7"],
    [false, "false"],
    ["a\nb\u202e", '"a\\nb\\u202e"'],
    ["x".repeat(60), `"${"x".repeat(48)}..."`],
    [[1, 2], "a list of 2"],
    [{ a: 1 }, "an object"],
  ] as const) {
    test(`show() of ${JSON.stringify(value)?.slice(0, 20)} is ${wanted.slice(0, 20)}`, () => {
      expect(show(value)).toBe(wanted);
    });
  }
});

describe("textIsAllowed()", () => {
  const rule = { maxLength: 8, want: "text" };
  for (const [text, wanted] of [
    ["a b", true],
    ["grüße", true],
    ["", false],
    ["123456789", false],
    ["a\n", false],
    ["a\u0085", false],
    ["a\u202e", false],
    ["\ud800", false],
  ] as const) {
    test(`textIsAllowed() of ${JSON.stringify(text)} is ${wanted}`, () => {
      expect(textIsAllowed(text, rule)).toBe(wanted);
    });
  }

  test("allows an empty text where it is optional", () => {
    expect(textIsAllowed("", { ...rule, optional: true, pattern: /x/ })).toBe(true);
  });
});

describe("RecordFields", () => {
  const fields = open('{"text":"t","number":-0,"flag":true,"list":["a","b"],"null":null,"ip":""}');

  test("reads each type", () => {
    expect(fields.text("text", { maxLength: 1, want: "a letter" })).toBe("t");
    expect(Object.is(fields.integer("number", { min: 0, max: 1 }), 0)).toBe(true);
    expect(fields.flag("flag")).toBe(true);
    expect(fields.texts("list", { maxItems: 2, rule: { maxLength: 1, want: "x" } })).toEqual([
      "a",
      "b",
    ]);
    expect(fields.optionalAddress("ip")).toBeUndefined();
    expect(fields.optionalText("number")).toBeUndefined();
  });

  test("reads what is missing or null as what the caller says", () => {
    for (const field of ["null", "missing"]) {
      expect(fields.has(field)).toBe(false);
      expect(fields.integer(field, { min: 1, max: 2, missing: 2 })).toBe(2);
      expect(fields.flag(field, true)).toBe(true);
      expect(fields.objects(field, 1)).toEqual([]);
      expect(fields.object(field).keys(0)).toEqual([]);
      expect(() => fields.integer(field, { min: 1, max: 2 })).toThrow(`field "${field}" is`);
    }
  });

  test("names the whole path of a field, cut to a readable length", () => {
    const key = "k".repeat(200);
    const deep = open(JSON.stringify({ [key]: { inner: 1 } })).object(key);
    expect(() => deep.text("inner", { maxLength: 1, want: "a letter" })).toThrow(
      `field "${"k".repeat(64)}..." is 1, want a letter`,
    );
  });
});

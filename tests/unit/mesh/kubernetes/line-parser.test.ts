import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createLineParser } from "../../../../mesh/kubernetes/line-parser.ts";

const bytes = (text: string): Buffer => Buffer.from(text);

describe("createLineParser()", () => {
  test("gives the same lines however the stream is cut", () => {
    const line = fc.string({ unit: "grapheme" }).filter((text) => !/[\n\r]/.test(text));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(40)), (lines, cuts) => {
        const stream = bytes(lines.map((text) => `${text}\n`).join(""));
        const parser = createLineParser({ maxBytes: 100_000 });
        const found: string[] = [];
        let from = 0;
        for (const length of cuts) {
          found.push(...parser.push(stream.subarray(from, from + length)));
          from = Math.min(stream.length, from + length);
        }
        found.push(...parser.push(stream.subarray(from)));
        expect(found).toEqual(lines.map((text) => text.trim()).filter((text) => text !== ""));
      }),
    );
  });

  test("keeps an unfinished line to itself", () => {
    const parser = createLineParser({ maxBytes: 10 });
    expect(parser.push(bytes("one\ntw"))).toEqual(["one"]);
    expect(parser.push(bytes("o\r\n\n"))).toEqual(["two"]);
  });

  test("takes a line of exactly the limit and refuses a longer one, ended or not", () => {
    expect(createLineParser({ maxBytes: 3 }).push(bytes("abc\n"))).toEqual(["abc"]);
    expect(() => createLineParser({ maxBytes: 3 }).push(bytes("abcd\n"))).toThrow("longer than 3");
    const parser = createLineParser({ maxBytes: 3 });
    parser.push(bytes("ab"));
    expect(() => parser.push(bytes("cd"))).toThrow("longer than 3");
  });
});

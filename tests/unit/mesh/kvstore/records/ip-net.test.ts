import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  encodeMask,
  ipNetFromPrefix,
  prefixFromField,
  prefixFromFields,
} from "../../../../../mesh/kvstore/records/ip-net.ts";
import {
  openRecord,
  type RecordFields,
} from "../../../../../mesh/kvstore/records/record-fields.ts";
import { prefixText } from "./arbitraries.ts";

const fieldsOf = (value: object): RecordFields =>
  openRecord({ kind: "node", name: "n" }, Buffer.from(JSON.stringify(value)));

describe("encodeMask()", () => {
  for (const [family, length, mask] of [
    [4, 0, "AAAAAA=="],
    [4, 16, "//8AAA=="],
    [4, 23, "///+AA=="],
    [4, 32, "/////w=="],
    [6, 64, "//////////8AAAAAAAAAAA=="],
    [6, 128, "/////////////////////w=="],
  ] as const) {
    test(`encodeMask() of /${length} in IPv${family} is ${mask}`, () => {
      expect(encodeMask({ family, length })).toBe(mask);
    });
  }
});

describe("prefixFromFields()", () => {
  test("reads back what ipNetFromPrefix() writes", () => {
    fc.assert(
      fc.property(fc.oneof(prefixText(4), prefixText(6)), (text) => {
        expect(prefixFromFields(fieldsOf(ipNetFromPrefix(text))).text).toBe(text);
      }),
    );
  });
});

describe("prefixFromField()", () => {
  test("reads an object and a text alike", () => {
    const fields = fieldsOf({ object: { IP: "10.1.0.0", Mask: "//8AAA==" }, text: "10.1.0.0/16" });
    expect(prefixFromField(fields, "object")).toEqual(prefixFromField(fields, "text"));
  });

  for (const text of ["", "10.1.0.0", "10.1.0.0/016", "10.1.0.0/33", "10.1.0.1/16", "/16", "x/8"]) {
    test(`prefixFromField() refuses ${JSON.stringify(text)}`, () => {
      expect(() => prefixFromField(fieldsOf({ text }), "text")).toThrow(/^Cannot use node "n": /);
    });
  }
});

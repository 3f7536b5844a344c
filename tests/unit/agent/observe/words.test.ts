import { describe, expect, test } from "@jest/globals";
import {
  dropWord,
  isIcmp,
  protocolFromName,
  protocolName,
} from "../../../../agent/observe/words.ts";

describe("protocolName()", () => {
  test("and protocolFromName() are each other's inverse", () => {
    for (const number of [0, 1, 6, 17, 58, 132]) {
      expect(protocolFromName(protocolName(number))).toBe(number);
    }
    expect(protocolFromName("tcp")).toBe(6);
    expect(protocolName(47)).toBe("47");
    expect(protocolFromName("47")).toBeUndefined();
  });
});

describe("dropWord()", () => {
  test("is the word of `mesh bpf drops`", () => {
    expect([0, 10, 7, 250].map(dropWord)).toEqual([
      "",
      "policy-denied",
      "source-spoofed",
      "reason-250",
    ]);
  });
});

describe("isIcmp()", () => {
  test("means both versions", () => {
    expect([1, 6, 58].filter(isIcmp)).toEqual([1, 58]);
  });
});

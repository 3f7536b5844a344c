import { describe, expect, test } from "@jest/globals";
import { parseArguments, usageError } from "../../../../mesh/commands/arguments.ts";

const options = {
  flags: { all: { type: "boolean" }, output: { type: "string" } },
  usage: "Usage: mesh thing NAME\n\nMore.\n",
} as const;

describe("parseArguments()", () => {
  test("returns flags and words", () => {
    const { values, positionals } = parseArguments(["a", "--all", "--output", "json"], options);
    expect({ ...values }).toEqual({ all: true, output: "json" });
    expect(positionals).toEqual(["a"]);
  });

  for (const [args, message] of [
    [["--bogus"], "Cannot understand the arguments: Unknown option '--bogus'"],
    [["--output"], "Cannot understand the arguments: Option '--output <value>' argument missing"],
    [["--all=1"], "Cannot understand the arguments: Option '--all' does not take an argument"],
  ] as const) {
    test(`refuses ${args.join(" ")} with the usage as hint`, () => {
      expect(() => parseArguments(args, options)).toThrow(
        expect.objectContaining({
          code: "invalid_argument",
          message,
          hint: "usage: mesh thing NAME",
        }),
      );
    });
  }
});

test("usageError() has the first line as hint", () => {
  expect(usageError("Cannot: why", options.usage)).toMatchObject({
    message: "Cannot: why",
    hint: "usage: mesh thing NAME",
  });
});

import { describe, expect, test } from "@jest/globals";
import { parseLabArguments } from "../../../../mesh/commands/lab-options.ts";

const OPTIONS = {
  flags: { name: { type: "string", default: "lab" } },
  usage: "Usage: mesh lab x [--name NAME]\n",
} as const;

describe("parseLabArguments()", () => {
  test("reads flags with their defaults, and the words that are wanted", () => {
    expect(parseLabArguments([], OPTIONS).values.name).toBe("lab");
    const { values, positionals } = parseLabArguments(["a", "--name", "b"], {
      ...OPTIONS,
      words: 1,
    });
    expect([values.name, positionals]).toEqual(["b", ["a"]]);
  });

  for (const [args, reason] of [
    [["east"], 'want 0 besides flags, got "east"'],
    [["--nodes", "1"], "Unknown option '--nodes'"],
    [["--name"], "argument missing"],
  ] as const) {
    test(`refuses ${args.join(" ")} and shows the usage`, () => {
      expect(() => parseLabArguments(args, OPTIONS)).toThrow(
        expect.objectContaining({
          code: "invalid_argument",
          message: expect.stringContaining(reason),
          hint: "usage: mesh lab x [--name NAME]",
        }),
      );
    });
  }
});

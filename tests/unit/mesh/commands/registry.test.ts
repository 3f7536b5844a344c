import { describe, expect, test } from "@jest/globals";
import { COMMANDS } from "../../../../mesh/commands/registry.ts";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

const HOME = "/nowhere/tombolo-registry";

async function refusalOf(run: Promise<number>): Promise<Error> {
  const outcome = await run.catch((error: unknown) => error);
  if (outcome instanceof Error) return outcome;
  throw new Error(`Want a refusal, got exit status ${String(outcome)}`);
}

describe("COMMANDS", () => {
  for (const command of COMMANDS) {
    const { name, usage, summary } = command;
    test(`mesh ${name}: help begins with how it is used and ends with examples of it`, () => {
      expect(usage.startsWith(`Usage: mesh ${name}`)).toBe(true);
      expect(summary).toMatch(/^[a-z].*[^.]$/);
      const [, examples = ""] = usage.split(/^Examples?:$/m);
      const lines = examples.split("\n").filter((line) => line !== "");
      expect(lines.some((line) => line.startsWith(`  mesh ${name}`))).toBe(true);
      expect(lines.every((line) => line.startsWith("  mesh "))).toBe(true);
      // Nodes of the lab that `mesh lab up` makes.
      for (const [, node] of examples.matchAll(/--node (\S+)/g)) {
        expect(node).toMatch(/^(east-|west-)?node[12]$/);
      }
    });

    for (const args of [
      ["--no-such-flag"],
      ["--output", "xml"],
      ["--output"],
      ["one", "two", "three", "four"],
    ]) {
      test(`mesh ${name} ${args.join(" ")}: one sentence, nothing on stdout`, async () => {
        const context = createTestContext(HOME);
        const error = await refusalOf(command.run(args, context));
        expect(isMeshError(error, "invalid_argument")).toBe(true);
        expect(error.message).toMatch(/^Cannot [^\n]+$/);
        expect(context.out()).toBe("");
      });
    }
  }
});

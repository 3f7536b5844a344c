import { describe, expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { installCommand } from "../../../../mesh/commands/install.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

const NAME = ["--cluster-name", "east", "--cluster-id", "1"];

async function print(...args: string[]): Promise<string> {
  const context = createTestContext("/nowhere");
  expect(await installCommand.run([...NAME, "--dry-run", ...args], context)).toBe(0);
  expect(context.err()).toBe("");
  return context.out();
}

describe("mesh install --dry-run", () => {
  test("prints every object as YAML and as JSON, the same each time, and asks nobody", async () => {
    const text = await print("-o", "yaml");
    const objects = parseAllDocuments(text).map((document) => document.toJS() as object);
    expect(objects).toHaveLength(14);
    expect(JSON.parse(await print("-o", "json"))).toEqual({
      apiVersion: "v1",
      kind: "List",
      items: objects,
    });
    expect(await print()).toBe(text);
  });

  test("refuses a table", async () => {
    await expect(print("-o", "table")).rejects.toThrow("want yaml or json");
  });
});

describe("mesh install", () => {
  for (const [args, message] of [
    [[], "Cannot install: want --cluster-name"],
    [["--cluster-name", "east"], "Cannot install: want --cluster-id"],
    [[...NAME, "east"], 'Cannot install "east": want flags only'],
    [[...NAME, "--timeout", "0"], 'Cannot use --timeout "0"'],
    [[...NAME, "-o", "yaml"], 'Cannot use --output "yaml": want table or json'],
    [NAME, "Cannot find a current context in kubeconfig (none is named): it has none"],
  ] as const) {
    test(`refuses ${JSON.stringify(args.join(" "))}`, async () => {
      const context = createTestContext("/nowhere");
      await expect(installCommand.run(args, context)).rejects.toThrow(message);
    });
  }
});

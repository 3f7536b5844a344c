import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatCommandsPage } from "../../../../deploy/docs/commands-page.ts";
import { COMMANDS } from "../../../../mesh/commands/registry.ts";
import { ROOT } from "../../../sources.ts";

test("formatCommandsPage() is what docs/commands.md holds (`npm run docs` writes it)", () => {
  const page = readFileSync(join(ROOT, "docs/commands.md"), "utf8");
  expect(page).toBe(formatCommandsPage(COMMANDS));
});

test("formatCommandsPage() links every command to its section", () => {
  const run = (): Promise<number> => Promise.resolve(0);
  const command = { name: "lab up", summary: "makes a lab", usage: "Usage: mesh lab up\n", run };
  const page = formatCommandsPage([command]);
  expect(page).toContain("- [`mesh lab up`](#mesh-lab-up): makes a lab\n");
  expect(page).toContain("## mesh lab up\n\n```text\nUsage: mesh lab up\n```\n");
});

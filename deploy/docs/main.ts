// What `npm run docs` does: writes the pages that are made from code.
import { writeFileSync } from "node:fs";
import { COMMANDS } from "../../mesh/commands/registry.ts";
import { formatCommandsPage } from "./commands-page.ts";

writeFileSync("docs/commands.md", formatCommandsPage(COMMANDS));

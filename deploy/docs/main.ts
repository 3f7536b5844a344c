// What `npm run docs` does: writes the pages that are made from code.
import { readFileSync, writeFileSync } from "node:fs";
import { COMMANDS } from "../../mesh/commands/registry.ts";
import { formatCommandsPage } from "./commands-page.ts";
import { kubernetesManifests } from "./kubernetes-manifests.ts";

writeFileSync("docs/commands.md", formatCommandsPage(COMMANDS));
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
for (const [name, text] of kubernetesManifests(version)) {
  writeFileSync(`deploy/kubernetes/${name}`, text);
}

// docs/commands.md from the commands themselves, so that the page cannot say anything else than
// `mesh COMMAND --help`. A test compares the two; `npm run docs` writes the page.
import type { Command } from "../../mesh/commands/command.ts";

const INTRODUCTION = `# Commands

\`mesh\` prints its answer on stdout and everything else (progress, warnings, errors, hints) on
stderr. Commands that show state take \`--output json\` for the same data as JSON. The exit status
is 0 on success, 2 for wrong usage, 130 when interrupted, 1 for every other failure. Errors are
one line, \`mesh: error: …\`, and may be followed by \`mesh: hint: …\` lines.

State lives in \`/var/lib/tombolo\` or where \`TOMBOLO_HOME\` points. \`NO_COLOR\` switches colour off,
\`TOMBOLO_DEBUG=1\` prints debug logs. In a checkout the command is \`mesh/bin/mesh\`.

This page is written by \`npm run docs\` from the commands' own help.
`;

export function formatCommandsPage(commands: readonly Command[]): string {
  const contents = commands.map(
    ({ name, summary }) => `- [\`mesh ${name}\`](#${anchor(name)}): ${summary}`,
  );
  const sections = commands.map(
    ({ name, usage }) => `## mesh ${name}\n\n\`\`\`text\n${usage.trimEnd()}\n\`\`\`\n`,
  );
  return [INTRODUCTION, `${contents.join("\n")}\n`, ...sections].join("\n");
}

function anchor(name: string): string {
  return `mesh-${name.replaceAll(" ", "-")}`;
}

// Finds the command that the words name, longest name first, and runs it; prints help.
import { MeshError } from "../core/errors.ts";
import type { Command, CommandContext } from "./command.ts";

/** Returns the exit status. Throws `invalid_argument` for words that name no command. */
export async function dispatch(
  commands: readonly Command[],
  argv: readonly string[],
  context: CommandContext,
): Promise<number> {
  const words = argv.filter((word) => !word.startsWith("-"));
  if (argv.length === 0 || (words.length === 0 && argv.some(isHelp)) || argv[0] === "help") {
    context.stdout.write(formatHelp(commands));
    return 0;
  }
  const command = findCommand(commands, argv);
  if (command === undefined) {
    const family = commands.filter(({ name }) => name.startsWith(`${argv[0]} `));
    if (family.length > 0) {
      if (argv.slice(1).some(isHelp)) {
        context.stdout.write(formatHelp(family));
        return 0;
      }
      const names = family.map(({ name }) => name.slice((argv[0] ?? "").length + 1)).join(", ");
      throw new MeshError(
        "invalid_argument",
        `Cannot run "mesh ${argv.slice(0, 2).join(" ")}": want one of ${names}`,
      );
    }
    throw new MeshError(
      "invalid_argument",
      `Cannot run "mesh ${argv[0]}": there is no such command`,
      { hint: "`mesh --help` lists them" },
    );
  }
  const args = argv.slice(command.name.split(" ").length);
  const end = args.indexOf("--");
  if (args.slice(0, end < 0 ? args.length : end).some(isHelp)) {
    context.stdout.write(command.usage);
    return 0;
  }
  return command.run(args, context);
}

function findCommand(commands: readonly Command[], argv: readonly string[]): Command | undefined {
  const matches = commands.filter(({ name }) =>
    name.split(" ").every((word, i) => argv[i] === word),
  );
  return matches.sort((a, b) => b.name.length - a.name.length)[0];
}

function formatHelp(commands: readonly Command[]): string {
  const width = Math.max(0, ...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    "mesh: one network from many Kubernetes clusters",
    "",
    "Usage: mesh COMMAND [ARGUMENTS]",
    "",
    "Commands:",
    ...lines,
    "",
    "`mesh COMMAND --help` shows how to use one, with examples.",
    "",
  ].join("\n");
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h";
}

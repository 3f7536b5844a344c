// What the `mesh lab` commands share: reading their flags and saying what was done.
import type { ParseArgsConfig } from "node:util";
import type { LabEnvironment } from "../../deploy/lab/lab.ts";
import { styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { CommandContext } from "./command.ts";

export const DEFAULT_LAB_NAME = "lab";

type FlagTable = NonNullable<ParseArgsConfig["options"]>;

/** Throws `invalid_argument` for wrong flags, and unless there are exactly `words` other words. */
export function parseLabArguments<const Flags extends FlagTable>(
  args: readonly string[],
  options: { readonly flags: Flags; readonly usage: string; readonly words?: number },
) {
  const parsed = parseArguments(args, options);
  const { words = 0, usage } = options;
  if (parsed.positionals.length === words) return parsed;
  const got = parsed.positionals.length === 0 ? "none" : `"${parsed.positionals.join(" ")}"`;
  throw usageError(
    `Cannot understand the arguments: want ${words} besides flags, got ${got}`,
    usage,
  );
}

/** Steps are told on stderr with how long they took. */
export function labEnvironment(context: CommandContext): LabEnvironment {
  const { home, clock, signal, stderr } = context;
  return {
    home,
    clock,
    signal,
    progress: ({ text, ms }) => {
      stderr.write(`${styled(stderr, "dim", `${String(ms).padStart(6)} ms`)}  ${text}\n`);
    },
  };
}

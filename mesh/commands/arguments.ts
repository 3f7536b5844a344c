// Parsing a command's words with node:util, its complaints put into the project's sentences.
import { parseArgs, type ParseArgsConfig } from "node:util";
import { MeshError } from "../core/errors.ts";

type FlagTable = NonNullable<ParseArgsConfig["options"]>;

/** Throws `invalid_argument`; `usage` is the hint. */
export function parseArguments<const Flags extends FlagTable>(
  args: readonly string[],
  { flags, usage }: { readonly flags: Flags; readonly usage: string },
) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: true, strict: true });
  } catch (error) {
    // The first sentence; what follows advises on a syntax that no command here uses.
    const [sentence = ""] = (error as Error).message.split(". ");
    throw new MeshError("invalid_argument", `Cannot understand the arguments: ${sentence}`, {
      hint: firstLine(usage),
    });
  }
}

/** The error for a wrong number of words. */
export function usageError(reason: string, usage: string): MeshError {
  return new MeshError("invalid_argument", reason, { hint: firstLine(usage) });
}

function firstLine(usage: string): string {
  const [line = ""] = usage.split("\n");
  return line.replace(/^Usage:/, "usage:");
}

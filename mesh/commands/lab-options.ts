// What the `mesh lab` commands share: reading their flags and saying what was done.
import { parseArgs, type ParseArgsConfig } from "node:util";
import type { LabEnvironment } from "../../deploy/lab/lab.ts";
import { MeshError } from "../core/errors.ts";
import { styled } from "../terminal.ts";
import type { CommandContext } from "./command.ts";

export const DEFAULT_LAB_NAME = "lab";

type Flags = NonNullable<ParseArgsConfig["options"]>;

/** Like util.parseArgs, but a wrong flag is an `invalid_argument` of the project. */
export function parseLabFlags<T extends Flags>(
  command: string,
  config: { args: readonly string[]; options: T; allowPositionals?: boolean },
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>> {
  try {
    return parseArgs({
      args: [...config.args],
      options: config.options,
      allowPositionals: config.allowPositionals ?? false,
    }) as ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>>;
  } catch (error) {
    const said = error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error);
    throw new MeshError("invalid_argument", `Cannot run "mesh ${command}": ${said}`, {
      hint: `\`mesh ${command} --help\` shows how to use it`,
    });
  }
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

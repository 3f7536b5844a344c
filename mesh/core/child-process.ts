// Runs other programs (`ip`, `mount`, `nsenter`, a CNI plugin) and waits for them. One place that
// turns the failure of a child into a sentence; it knows nothing of what the programs do.
import { spawn } from "node:child_process";
import { MeshError } from "./errors.ts";
import { throwIfAborted } from "./clock.ts";

/** What a program says on failure is cut here; `ip` and `mount` say one line. */
const REASON_MAX_LENGTH = 400;

export interface CommandRun {
  readonly argv: readonly [string, ...string[]];
  /** Written to its standard input; nothing by default. */
  readonly input?: string;
  /** The whole environment; the caller's own by default. */
  readonly env?: Readonly<Record<string, string>>;
  /** Hears what it writes to standard error while it runs; the result has it as well. */
  readonly onStderr?: (text: string) => void;
}

export interface CommandResult {
  /** Exit status; 128 and the signal's meaning are folded into -1. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves for every exit status; throws `not_found` when the program is missing. */
export async function runCommand(run: CommandRun, signal: AbortSignal): Promise<CommandResult> {
  throwIfAborted(signal);
  const [program, ...args] = run.argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      signal,
      ...(run.env === undefined ? {} : { env: { ...run.env } }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr.push(chunk);
      run.onStderr?.(chunk.toString());
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      const code = cause.name === "AbortError" ? "aborted" : "not_found";
      reject(new MeshError(code, `Cannot run "${program}"`, { cause }));
    });
    child.on("close", (status) =>
      resolve({
        status: status ?? -1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
    // A program that ends without reading its input is judged by its exit status.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(run.input ?? "");
  });
}

/** Returns standard output; any exit status but 0 throws `internal` with what the program said. */
export async function commandOutput(run: CommandRun, signal: AbortSignal): Promise<string> {
  const result = await runCommand(run, signal);
  if (result.status === 0) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).slice(0, REASON_MAX_LENGTH);
  throw new MeshError(
    "internal",
    `Cannot run "${run.argv.slice(0, 4).join(" ")}": exit status ${result.status}: ${said}`,
  );
}

/** The words that run `argv` inside a network namespace. `ip netns exec` would hide bpffs. */
export function inNamespace(
  namespacePath: string,
  argv: readonly [string, ...string[]],
): [string, ...string[]] {
  return ["nsenter", `--net=${namespacePath}`, "--", ...argv];
}

// The one door to iproute2: runs `ip` in the agent's own network namespace, reads its JSON,
// translates its complaints. What is asked for is decided elsewhere.
import { execFile } from "node:child_process";
import { MeshError } from "../../mesh/core/errors.ts";
import { throwIfAborted } from "../../mesh/core/clock.ts";

export interface IpCommand {
  /** Runs `ip ARGS`. */
  run(args: readonly string[], signal: AbortSignal): Promise<void>;
  /** Runs `ip -json ARGS` and returns what it prints; [] where it prints nothing. */
  query(args: readonly string[], signal: AbortSignal): Promise<readonly Record<string, unknown>[]>;
  /** Runs one command a line in one process; stops at the first that fails. */
  batch(lines: readonly string[], signal: AbortSignal): Promise<void>;
}

/** A full routing table of 10,000 nodes in two families is some 4 MB of JSON. */
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;

export function createIpCommand(): IpCommand {
  return {
    async run(args, signal) {
      await execute({ args }, signal);
    },
    async query(args, signal) {
      const text = await execute({ args: ["-json", ...args] }, signal);
      if (text.trim() === "") return [];
      const rows = JSON.parse(text) as Record<string, unknown>[];
      // A row that a filter has emptied is printed as {}.
      return rows.filter((row) => Object.keys(row).length > 0);
    },
    async batch(lines, signal) {
      if (lines.length === 0) return;
      await execute({ args: ["-batch", "-"], input: `${lines.join("\n")}\n` }, signal);
    },
  };
}

function execute(
  command: { readonly args: readonly string[]; readonly input?: string },
  signal: AbortSignal,
): Promise<string> {
  throwIfAborted(signal);
  return new Promise((resolve, reject) => {
    const child = execFile(
      "ip",
      command.args,
      { signal, maxBuffer: OUTPUT_LIMIT_BYTES },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(translate({ error, stderr, args: command.args }, signal));
      },
    );
    child.stdin?.on("error", () => {}); // It ended before it read everything; its status says why.
    child.stdin?.end(command.input ?? "");
  });
}

function translate(
  failure: { readonly error: Error; readonly stderr: string; readonly args: readonly string[] },
  signal: AbortSignal,
): MeshError {
  if (signal.aborted)
    return new MeshError("aborted", "The operation was aborted", { cause: signal.reason });
  if ("code" in failure.error && failure.error.code === "ENOENT") {
    return new MeshError("unsupported", 'Cannot run "ip": it is not installed', {
      hint: "install iproute2",
    });
  }
  const complaint = failure.stderr.trim().replaceAll("\n", "; ").slice(0, 500);
  const code = /does not exist|Cannot find device|No such/.test(complaint)
    ? "not_found"
    : "unavailable";
  return new MeshError(code, `Cannot run "ip ${failure.args.join(" ")}": ${complaint}`);
}

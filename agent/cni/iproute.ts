// Runs `ip` for the plugin, many lines in one process, in the node's namespace (the plugin's own)
// or in a pod's.
import { commandOutput, inNamespace } from "../../mesh/core/child-process.ts";

export interface IpBatch {
  readonly lines: readonly string[];
  /** Path of a network namespace; the plugin's own if left out. */
  readonly namespace?: string;
}

/** Stops at the first line that fails and throws what `ip` said about it. */
export async function runIp(batch: IpBatch, signal: AbortSignal): Promise<void> {
  const argv = place(batch.namespace, ["ip", "-batch", "-"]);
  await commandOutput({ argv, input: `${batch.lines.join("\n")}\n` }, signal);
}

/** The rows that `ip -json` prints for one question. */
export async function queryIp(
  question: { readonly args: readonly string[]; readonly namespace?: string },
  signal: AbortSignal,
): Promise<Record<string, unknown>[]> {
  const argv = place(question.namespace, ["ip", "-json", ...question.args]);
  const text = await commandOutput({ argv }, signal);
  return text.trim() === "" ? [] : (JSON.parse(text) as Record<string, unknown>[]);
}

function place(
  namespace: string | undefined,
  argv: [string, ...string[]],
): readonly [string, ...string[]] {
  return namespace === undefined ? argv : inNamespace(namespace, argv);
}

// The user's own probes of a drill: a URL, or a program.
import { execFile } from "node:child_process";
import { withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import type { Check } from "../drill/definition.ts";

/** Undefined when it is well, otherwise why not. Throws nothing but `aborted`. */
export async function runDrillCheck(
  probe: Check["probe"],
  limits: { readonly timeoutMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const { timeoutMs, clock, signal } = limits;
  const work = (inner: AbortSignal): Promise<string | undefined> =>
    probe.kind === "http" ? fetchStatus(probe.url, inner) : runProgram(probe.argv, inner);
  try {
    return await withTimeout(work, { ms: timeoutMs, what: "It", clock, signal });
  } catch (error) {
    if (signal.aborted || isMeshError(error, "aborted")) throw error;
    return messageFromError(error);
  }
}

async function fetchStatus(url: string, signal: AbortSignal): Promise<string | undefined> {
  const response = await fetch(url, { signal, redirect: "manual" });
  await response.body?.cancel();
  return response.ok ? undefined : `status ${response.status}`;
}

function runProgram(argv: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  const [program = "", ...words] = argv;
  return new Promise((resolve, reject) => {
    execFile(program, words, { signal, killSignal: "SIGKILL" }, (error) => {
      if (signal.aborted) reject(signal.reason as Error);
      const [reason] = error?.message.split("\n", 1) ?? [];
      resolve(reason);
    });
  });
}

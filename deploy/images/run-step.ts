// Runs one step of a build: a program with everything that it starts and mounts in namespaces of
// its own, so that the kernel takes all of it away when the step ends, is aborted, or loses us.
import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { abortedError, throwIfAborted } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";

export interface BuildStep {
  /** "make the Debian root", for the sentence of a failure. */
  readonly purpose: string;
  readonly argv: readonly string[];
  /** Takes what the program says; appended to. */
  readonly logFile: string;
}

/** Of a failed step's last words. */
const SAID_LINES = 4;
const ISOLATED =
  "setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc";

/** Resolves on success. After a rejection nothing of the step runs any more. */
export async function runStep(step: BuildStep, signal: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  const log = await open(step.logFile, "a");
  const [program = "", ...args] = [...ISOLATED.split(" "), ...step.argv];
  try {
    const status = await new Promise<number | string>((resolve, reject) => {
      const child = spawn(program, args, { stdio: ["ignore", log.fd, log.fd] });
      // The first process of the namespace dies with its parent, and with it all others.
      const onAbort = (): void => void child.kill("SIGKILL");
      signal.addEventListener("abort", onAbort, { once: true });
      child.once("error", (cause) => {
        signal.removeEventListener("abort", onAbort);
        reject(new MeshError("not_found", `Cannot run "${program}"`, { cause }));
      });
      child.once("close", (code, killedBy) => {
        signal.removeEventListener("abort", onAbort);
        resolve(code ?? killedBy ?? -1);
      });
    });
    if (signal.aborted) throw abortedError(signal);
    if (status !== 0) throw await failureOf(step, status);
  } finally {
    await log.close();
  }
}

async function failureOf(step: BuildStep, status: number | string): Promise<MeshError> {
  const lines = (await readFile(step.logFile, "utf8")).trimEnd().split("\n");
  const said = lines.slice(-SAID_LINES).join("; ");
  return new MeshError("internal", `Cannot ${step.purpose}: exit status ${status}: ${said}`, {
    hint: `everything that was said is in ${step.logFile}`,
  });
}

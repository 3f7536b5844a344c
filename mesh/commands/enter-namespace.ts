// Running a command again inside the network namespace that its context names: clusters of a lab
// are reachable only from there. Files and unix sockets are the same inside; nothing else is done
// twice, because the outer process only waits.
import { spawn } from "node:child_process";
import { readlink, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MeshError } from "../core/errors.ts";

/**
 * Returns undefined if this process is in the namespace (or none is named): go on. Otherwise runs
 * `mesh ARGV` inside and returns its exit status: nothing is left to do.
 */
export async function enterNamespace(
  path: string | undefined,
  options: { argv: readonly string[]; signal: AbortSignal },
): Promise<number | undefined> {
  if (path === undefined || (await isInside(path))) return undefined;
  const node = await readlink("/proc/self/exe");
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const words = [`--net=${path}`, "--", node, "--disable-warning=ExperimentalWarning", main];
  const child = spawn("nsenter", [...words, ...options.argv], { stdio: "inherit" });
  // The child ends in its own way, with its own status, which is then ours.
  const onAbort = (): void => {
    child.kill("SIGTERM");
  };
  options.signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (cause) =>
        reject(new MeshError("internal", `Cannot enter network namespace "${path}"`, { cause })),
      );
      child.once("exit", (status, killedBy) => resolve(status ?? (killedBy === null ? 1 : 130)));
    });
  } finally {
    options.signal.removeEventListener("abort", onAbort);
  }
}

/** The one namespace that several contexts need; throws `invalid_argument` if they differ. */
export function commonNamespace(
  contexts: readonly { readonly name: string; readonly networkNamespace: string | undefined }[],
): string | undefined {
  const [first, ...others] = contexts;
  const other = others.find(({ networkNamespace }) => networkNamespace !== first?.networkNamespace);
  if (first !== undefined && other !== undefined) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use contexts "${first.name}" and "${other.name}" together: they name different network namespaces`,
      { hint: "use `mesh invite` in one and `mesh join` in the other" },
    );
  }
  return first?.networkNamespace;
}

async function isInside(path: string): Promise<boolean> {
  const own = await stat("/proc/self/ns/net");
  try {
    const wanted = await stat(path);
    return wanted.ino === own.ino && wanted.dev === own.dev;
  } catch (cause) {
    throw new MeshError("not_found", `Cannot enter network namespace "${path}": it is not there`, {
      cause,
      hint: "is the lab up? `mesh lab status` tells",
    });
  }
}

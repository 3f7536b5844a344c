// Runs parse-file.ts where it holds up nobody: a large file is parsed in a thread of its own,
// which ends with it and gives its memory back; a small one here, where a thread would cost more.
import { Worker } from "node:worker_threads";
import { MeshError } from "../../../mesh/core/errors.ts";
import { parseManifestFile, type ParsedFile } from "./parse-file.ts";

/** What the thread is given, by value. */
export interface ParseRequest {
  readonly file: string;
  readonly text: string;
}

/** Some 60 pods: parsed within 100 ms on a slow machine, about what starting a thread takes. */
export const PARSED_IN_PLACE_MAX_LENGTH = 16 * 1024;
/** A tree of YAML takes some hundred times its text; the largest file that is read has 8 MiB. */
const THREAD_HEAP_MIB = 2_048;
const THREAD_FILE = new URL("./parse-worker.ts", import.meta.url);

/** Rejects with `aborted`, and with `resource_exhausted` when the thread ends without an answer. */
export async function parseManifest(
  request: ParseRequest,
  signal: AbortSignal,
): Promise<ParsedFile> {
  if (request.text.length <= PARSED_IN_PLACE_MAX_LENGTH) {
    return parseManifestFile(request.file, request.text);
  }
  const thread = new Worker(THREAD_FILE, {
    workerData: request,
    resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MIB },
  });
  const answer = Promise.withResolvers<ParsedFile>();
  const refuse = (cause?: unknown): void =>
    answer.reject(
      new MeshError("resource_exhausted", `Cannot parse "${request.file}": its thread has ended`, {
        cause,
      }),
    );
  thread.once("message", (parsed: ParsedFile) => answer.resolve(parsed));
  thread.once("error", refuse);
  thread.once("exit", () => refuse());
  const onAbort = (): void =>
    answer.reject(new MeshError("aborted", `Cannot parse "${request.file}": aborted`));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await answer.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    await thread.terminate();
  }
}

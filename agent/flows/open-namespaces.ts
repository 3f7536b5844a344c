// Opens a sock_diag socket in each of several network namespaces, from a thread of its own that
// ends with the work: the namespace of everything else in the process never changes. Needs
// CAP_SYS_ADMIN, which entering a namespace asks for.
import { Worker } from "node:worker_threads";
import { socketFromFd, type Socket } from "../../bpf/socket.ts";
import { messageFromError } from "../../mesh/core/errors.ts";

/** What the thread is given, by value. */
export interface OpenRequest {
  readonly paths: readonly string[];
}

/** What it says of each path. */
export interface OpenAnswer {
  readonly path: string;
  /** -1 with a problem. */
  readonly fd: number;
  /** Device and inode: another namespace at the same path has another one while this one lives. */
  readonly identity: string;
  readonly problem: string;
}

export type OpenedNamespace =
  | { readonly path: string; readonly socket: Socket; readonly identity: string }
  | { readonly path: string; readonly problem: string };

/** It loads a few small files. */
const THREAD_HEAP_MIB = 64;
const THREAD_FILE = new URL("./open-worker.ts", import.meta.url);

/** An answer a path; what cannot be opened is said, never thrown. */
export async function openNamespaces(paths: readonly string[]): Promise<OpenedNamespace[]> {
  const opened = new Map<string, OpenedNamespace>();
  const thread = new Worker(THREAD_FILE, {
    workerData: { paths } satisfies OpenRequest,
    resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MIB },
  });
  const ended = Promise.withResolvers<void>();
  let failure = "its thread has ended";
  thread.on("message", ({ path, fd, identity, problem }: OpenAnswer) => {
    const row =
      fd < 0 ? { path, problem } : { path, socket: socketFromFd(fd, "sock_diag"), identity };
    opened.set(path, row);
  });
  thread.once("error", (error) => {
    failure = messageFromError(error);
  });
  // Comes last: the port is emptied when the thread ends.
  thread.once("exit", () => ended.resolve());
  await ended.promise;
  return paths.map((path) => opened.get(path) ?? { path, problem: failure });
}

// The sweep in threads of plain Node: every global that code looks up in Jest's sandbox costs a
// call, which makes the same scenarios take twice as long there, and a machine has more than one
// core.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Seeds, Sweep } from "./sweep.ts";

const THREADS_MAX = 4;
const THREAD_FILE = new URL("./sweep-worker.ts", import.meta.url);

/** Every result, or the error of the first thread that broke; no thread outlives this. */
export async function sweepInThreads(first: number, count: number): Promise<Sweep[]> {
  const threads = Math.min(availableParallelism(), THREADS_MAX, count);
  const started = Array.from({ length: threads }, (_, index) => {
    const seeds: Seeds = {
      first: first + index,
      count: Math.ceil((count - index) / threads),
      stride: threads,
    };
    return new Worker(THREAD_FILE, { workerData: seeds });
  });
  try {
    return await Promise.all(started.map(resultOf));
  } finally {
    await Promise.all(started.map((thread) => thread.terminate()));
  }
}

async function resultOf(thread: Worker): Promise<Sweep> {
  const result = Promise.withResolvers<Sweep>();
  thread.once("message", (message: Sweep) => result.resolve(message));
  thread.once("error", (cause) => result.reject(cause));
  thread.once("exit", () => result.reject(new Error("A thread of the sweep ended too soon")));
  return await result.promise;
}

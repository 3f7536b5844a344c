// Programs in many network namespaces as one process: a thread a namespace (flow-worker.ts). It
// takes orders by IPC and ends when the test hangs up.
import { Worker } from "node:worker_threads";
import type { FlowEvent, FlowOrder } from "./flow-worker.ts";

export type ProgramOrder = FlowOrder & { readonly namespace: string };
export type ProgramEvent = FlowEvent & { readonly namespace: string };

const threads = new Map<string, Worker>();

function threadOf(namespace: string): Worker {
  const known = threads.get(namespace);
  if (known !== undefined) return known;
  const file = new URL("./flow-worker.ts", import.meta.url);
  const thread = new Worker(file, { workerData: namespace });
  thread.on("message", (event: FlowEvent) => process.send?.({ ...event, namespace }));
  threads.set(namespace, thread);
  return thread;
}

process.on("message", ({ namespace, ...order }: ProgramOrder) =>
  threadOf(namespace).postMessage(order),
);
process.on("disconnect", () => process.exit(0));

// The thread of open-namespaces.ts: goes from one network namespace into the next, opens a socket
// in each, and ends. Only this thread's namespace changes; the sockets belong to the process.
import { closeSync, fstatSync, openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { enterNetworkNamespace } from "../../bpf/socket.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { openDiagSocket } from "./diag-socket.ts";
import type { OpenAnswer, OpenRequest } from "./open-namespaces.ts";

for (const path of (workerData as OpenRequest).paths) parentPort?.postMessage(openIn(path));

function openIn(path: string): OpenAnswer {
  try {
    const namespace = openSync(path, "r");
    try {
      const { dev, ino } = fstatSync(namespace);
      enterNetworkNamespace(namespace);
      return { path, fd: openDiagSocket().fd, identity: `${dev}:${ino}`, problem: "" };
    } finally {
      closeSync(namespace);
    }
  } catch (error) {
    return { path, fd: -1, identity: "", problem: messageFromError(error) };
  }
}

// The thread of sweep-threads.ts.
import { parentPort, workerData } from "node:worker_threads";
import { sweep, type Seeds } from "./sweep.ts";

parentPort?.postMessage(sweep(workerData as Seeds));

// The thread of parse-thread.ts: parses the one file that it was started with, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { parseManifestFile } from "./parse-file.ts";
import type { ParseRequest } from "./parse-thread.ts";

const { file, text } = workerData as ParseRequest;
parentPort?.postMessage(parseManifestFile(file, text));

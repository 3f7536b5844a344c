// The CNI plugin: one call of the container runtime, one answer on standard output. Reads the
// environment and standard input; the work is done beside it. Needs no running agent.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { join } from "node:path";
import { MeshError } from "../../mesh/core/errors.ts";
import { openAddressBook } from "./address-book.ts";
import { attachPod } from "./attach.ts";
import { checkPod } from "./check.ts";
import { detachPod } from "./detach.ts";
import { readNodeFile } from "./node-file.ts";
import {
  isRecord,
  parseEnvironment,
  parseNetworkConfig,
  type CniEnvironment,
  type NetworkConfig,
} from "./request.ts";
import { formatError, formatResult, formatVersions, type CniStage } from "./result.ts";

const ADDRESS_BOOK = "address-book";
/** In which an answer is written when the question's version is not known. */
const OWN_VERSION = "1.0.0";

const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

let stage: CniStage = "environment";
let cniVersion = OWN_VERSION;
try {
  const environment = parseEnvironment(process.env);
  stage = "decode";
  const input: unknown = JSON.parse(await text(process.stdin));
  if (isRecord(input) && typeof input["cniVersion"] === "string") cniVersion = input["cniVersion"];
  stage = "config";
  const answer =
    environment.command === "VERSION"
      ? formatVersions(cniVersion)
      : await run(environment, parseNetworkConfig(input));
  if (answer !== undefined) process.stdout.write(`${JSON.stringify(answer)}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify(formatError(error, { cniVersion, stage }))}\n`);
  process.exitCode = 1;
}

async function run(
  environment: CniEnvironment,
  { stateDirectory, prevResult, cniVersion: version }: NetworkConfig,
): Promise<Record<string, unknown> | undefined> {
  const { signal } = abort;
  if (environment.command === "CHECK" && prevResult === undefined) {
    throw new MeshError("invalid_argument", 'Cannot check a pod: "prevResult" is missing');
  }
  stage = "work";
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const book = await openAddressBook(join(stateDirectory, ADDRESS_BOOK), {
    bootId,
    uniqueName: randomUUID(),
  });
  if (environment.command === "DEL") {
    await detachPod({ pod: environment, book }, signal);
    return undefined;
  }
  const pod = { ...environment, netns: environment.netns ?? "" };
  const request = { pod, node: await readNodeFile(stateDirectory), book };
  if (environment.command === "CHECK") {
    await checkPod({ ...request, prevResult: prevResult ?? {} }, signal);
    return undefined;
  }
  return formatResult(await attachPod(request, signal), { cniVersion: version, prevResult });
}

// The CNI plugin: one call of the container runtime, one answer on standard output. Reads the
// environment and standard input; the work is done beside it. Needs no running agent.
import { text } from "node:stream/consumers";
import { systemClock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { attachPod } from "./attach.ts";
import { checkPod } from "./check.ts";
import { attachChainedPod } from "./chain.ts";
import { collectGarbage } from "./collect.ts";
import { detachPod } from "./detach.ts";
import { openNodeAddressBook } from "./node-address-book.ts";
import { readNodeFile } from "./node-file.ts";
import { awaitPinnedPolicy } from "./policy-wait.ts";
import {
  isRecord,
  parseEnvironment,
  parseNetworkConfig,
  type CniEnvironment,
  type NetworkConfig,
} from "./request.ts";
import { checkStatus } from "./status.ts";
import { formatError, formatResult, formatVersions, type CniStage } from "./result.ts";

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
  config: NetworkConfig,
): Promise<Record<string, unknown> | undefined> {
  const { signal } = abort;
  const { stateDirectory, prevResult, validAttachments, cniVersion: version } = config;
  if (environment.command === "CHECK" && prevResult === undefined) {
    throw new MeshError("invalid_argument", 'Cannot check a pod: "prevResult" is missing');
  }
  if (environment.command === "GC" && validAttachments === undefined) {
    throw new MeshError(
      "invalid_argument",
      'Cannot collect garbage: "cni.dev/valid-attachments" is missing',
    );
  }
  if (config.chained && environment.command === "ADD" && prevResult === undefined) {
    throw new MeshError(
      "invalid_argument",
      'Cannot stand behind another plugin: "prevResult" is missing',
    );
  }
  stage = "work";
  if (environment.command === "STATUS") {
    await checkStatus(stateDirectory);
    return undefined;
  }
  const book = await openNodeAddressBook(stateDirectory);
  if (environment.command === "GC") {
    await collectGarbage({ book, valid: validAttachments ?? [] }, signal);
    return undefined;
  }
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
  const { bpfRoot } = request.node;
  if (config.chained) {
    const { hostInterface } = await attachChainedPod(request, signal);
    await awaitPinnedPolicy({ bpfRoot, hostInterface }, systemClock, signal);
    return { ...prevResult, cniVersion: version };
  }
  const attachment = await attachPod(request, signal);
  const { hostInterface } = attachment;
  await awaitPinnedPolicy({ bpfRoot, hostInterface }, systemClock, signal);
  return formatResult(attachment, { cniVersion: version, prevResult });
}

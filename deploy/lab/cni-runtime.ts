// The runtime's half of CNI: calls the project's plugin the way kubelet's container runtime does,
// as an executable inside the node's namespace with its real input and environment.
import { fileURLToPath } from "node:url";
import { CNI_ERROR } from "../../agent/cni/result.ts";
import { MeshError, type ErrorCode } from "../../mesh/core/errors.ts";
import { inNamespace, runCommand } from "../../mesh/core/child-process.ts";
import { namespacePath } from "./namespaces.ts";
import type { LabNode } from "./plan.ts";

const PLUGIN_DIRECTORY = fileURLToPath(new URL("../../agent/cni", import.meta.url));
const PLUGIN = "tombolo-cni";
export const POD_INTERFACE = "eth0";

export interface CniCall {
  readonly command: "ADD" | "DEL" | "CHECK";
  readonly node: LabNode;
  readonly containerId: string;
  /** Name of the pod's network namespace. */
  readonly namespace: string;
  readonly pod: { readonly namespace: string; readonly name: string };
  /** For CHECK: what ADD had answered. */
  readonly prevResult?: CniResult;
}

/** The part of a CNI result that the lab uses; the rest is kept for CHECK. */
export interface CniResult {
  readonly ips: readonly { readonly address: string }[];
}

/** Without their prefix lengths. */
export function addressesOfResult({ ips }: CniResult): string[] {
  return ips.map(({ address }) => address.split("/")[0] ?? address);
}

/** Throws with the plugin's own message, under the code that its number stands for. */
export async function callCni(
  call: CniCall & { command: "ADD" },
  signal: AbortSignal,
): Promise<CniResult>;
export async function callCni(call: CniCall, signal: AbortSignal): Promise<CniResult | undefined>;
export async function callCni(call: CniCall, signal: AbortSignal): Promise<CniResult | undefined> {
  const config = {
    cniVersion: "1.0.0",
    name: "tombolo",
    type: PLUGIN,
    stateDirectory: call.node.stateDirectory,
    ...(call.prevResult === undefined ? {} : { prevResult: call.prevResult }),
  };
  const plugin = `${PLUGIN_DIRECTORY}/${PLUGIN}`;
  const result = await runCommand(
    {
      argv: inNamespace(namespacePath(call.node.namespace), [plugin]),
      input: JSON.stringify(config),
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        CNI_COMMAND: call.command,
        CNI_CONTAINERID: call.containerId,
        CNI_NETNS: namespacePath(call.namespace),
        CNI_IFNAME: POD_INTERFACE,
        CNI_PATH: PLUGIN_DIRECTORY,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${call.pod.namespace};K8S_POD_NAME=${call.pod.name}`,
      },
    },
    signal,
  );
  if (result.status !== 0) throw errorFromPlugin(call, result);
  return call.command === "ADD" ? (JSON.parse(result.stdout) as CniResult) : undefined;
}

/** The specification's numbers, and the plugin's own (agent/cni/result.ts). */
const CODE_OF_NUMBER: Readonly<Record<number, ErrorCode>> = {
  [CNI_ERROR.unknownContainer]: "not_found",
  [CNI_ERROR.tryAgainLater]: "unavailable",
  [CNI_ERROR.addressesExhausted]: "resource_exhausted",
  [CNI_ERROR.checkFailed]: "conflict",
};

function errorFromPlugin(call: CniCall, result: { stdout: string; stderr: string }): MeshError {
  const what = `Cannot run CNI ${call.command} for pod "${call.pod.namespace}/${call.pod.name}" on "${call.node.name}"`;
  try {
    const { code, msg, details } = JSON.parse(result.stdout) as Record<string, unknown>;
    const said = [msg, details].filter((text) => typeof text === "string" && text !== "");
    return new MeshError(
      CODE_OF_NUMBER[Number(code)] ?? "internal",
      `${what}: code ${String(code)}: ${said.join(": ")}`,
    );
  } catch {
    // The plugin died before it could speak CNI.
    const said = (result.stderr || result.stdout).trim().slice(0, 400);
    return new MeshError("internal", `${what}: ${said}`);
  }
}

// What a container runtime asks for: the CNI_* environment and the network configuration on
// standard input (CNI specification 1.1.0, sections 1 and 2), checked, as one value.
import { isAbsolute } from "node:path";
import { MeshError } from "../../mesh/core/errors.ts";

/** Versions whose results this plugin can write, oldest first. */
export const SUPPORTED_VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

/** GC and STATUS are of 1.1.0: runtimes that speak less do not ask. */
const COMMANDS = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"] as const;
export type CniCommand = (typeof COMMANDS)[number];
/** Those that are about one interface of one container. */
const POD_COMMANDS: readonly CniCommand[] = ["ADD", "DEL", "CHECK"];

export interface CniEnvironment {
  readonly command: CniCommand;
  readonly containerId: string;
  /** Path of the pod's network namespace; DEL may come without one. */
  readonly netns: string | undefined;
  readonly ifName: string;
  /** From CNI_ARGS; only for people who read the address book. */
  readonly pod: string;
}

export interface NetworkConfig {
  readonly cniVersion: CniVersion;
  readonly name: string;
  readonly stateDirectory: string;
  /** Another plugin has made the pod's interface; ours is added to it. */
  readonly chained: boolean;
  /** The result of the plugin before us in a chain, or, for CHECK, of our own ADD. */
  readonly prevResult: Readonly<Record<string, unknown>> | undefined;
  /** For GC: all that the runtime knows of; undefined for other commands. */
  readonly validAttachments: readonly ValidAttachment[] | undefined;
}

export interface ValidAttachment {
  readonly containerId: string;
  readonly ifName: string;
}

/** From the specification: what a container id may look like. */
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** IFNAMSIZ without its terminating zero. */
const INTERFACE_NAME_MAX_LENGTH = 15;

/** Throws `invalid_argument` naming the variable. */
export function parseEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): CniEnvironment {
  const command = parseCommand(env["CNI_COMMAND"]);
  if (!POD_COMMANDS.includes(command)) {
    return { command, containerId: "", netns: undefined, ifName: "", pod: "" };
  }
  const netns = env["CNI_NETNS"] === "" ? undefined : env["CNI_NETNS"];
  if (command !== "DEL" && netns === undefined) throw badVariable("CNI_NETNS", undefined);
  if (netns !== undefined && (!isAbsolute(netns) || /\s/.test(netns))) {
    throw badVariable("CNI_NETNS", netns);
  }
  return {
    command,
    netns,
    containerId: parseContainerId(env["CNI_CONTAINERID"]),
    ifName: parseInterfaceName(env["CNI_IFNAME"]),
    pod: podFromArguments(env["CNI_ARGS"] ?? ""),
  };
}

/** Throws `unsupported` for a version we do not speak and `invalid_argument` for all else. */
export function parseNetworkConfig(value: unknown): NetworkConfig {
  if (!isRecord(value)) throw badConfig("want a JSON object");
  const cniVersion = parseVersion(value["cniVersion"]);
  const { name, stateDirectory, chained = false, prevResult } = value;
  if (typeof name !== "string" || name === "") throw badConfig('"name" is missing');
  if (typeof stateDirectory !== "string" || !isAbsolute(stateDirectory)) {
    throw badConfig('"stateDirectory" must be an absolute path');
  }
  if (typeof chained !== "boolean") throw badConfig('"chained" must be true or false');
  if (prevResult !== undefined && prevResult !== null && !isRecord(prevResult)) {
    throw badConfig('"prevResult" must be an object');
  }
  return {
    cniVersion,
    name,
    stateDirectory,
    chained,
    prevResult: prevResult ?? undefined,
    validAttachments: parseValidAttachments(value["cni.dev/valid-attachments"]),
  };
}

/** A missing version means 0.2.0 by the specification, which had another kind of result. */
export function parseVersion(value: unknown): CniVersion {
  const version = SUPPORTED_VERSIONS.find((supported) => supported === value);
  if (version !== undefined) return version;
  throw new MeshError(
    "unsupported",
    `Cannot use CNI version ${JSON.stringify(value ?? "0.2.0")}: want one of ${SUPPORTED_VERSIONS.join(", ")}`,
  );
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A list that cannot be read whole is refused: what it does not name loses its addresses. */
function parseValidAttachments(value: unknown): readonly ValidAttachment[] | undefined {
  if (value === undefined) return undefined;
  const list: readonly unknown[] | null = value === null ? [] : Array.isArray(value) ? value : null;
  if (list === null) throw badConfig('"cni.dev/valid-attachments" must be a list');
  return list.map((item) => {
    const { containerID: containerId, ifname: ifName } = isRecord(item) ? item : {};
    if (typeof containerId === "string" && typeof ifName === "string") {
      return { containerId, ifName };
    }
    throw badConfig('"cni.dev/valid-attachments" must name containerID and ifname');
  });
}

function parseCommand(value: string | undefined): CniCommand {
  const command = COMMANDS.find((known) => known === value);
  if (command !== undefined) return command;
  throw badVariable("CNI_COMMAND", value);
}

function parseContainerId(value: string | undefined): string {
  if (value === undefined || !CONTAINER_ID.test(value)) throw badVariable("CNI_CONTAINERID", value);
  return value;
}

function parseInterfaceName(value: string | undefined): string {
  const valid =
    value !== undefined &&
    value.length > 0 &&
    value.length <= INTERFACE_NAME_MAX_LENGTH &&
    value !== "." &&
    value !== ".." &&
    !/[\s/:]/.test(value);
  if (!valid) throw badVariable("CNI_IFNAME", value);
  return value;
}

function podFromArguments(text: string): string {
  const pairs = new Map(text.split(";").map((pair) => [pair.split("=")[0], pair.split("=")[1]]));
  const name = pairs.get("K8S_POD_NAME");
  return name === undefined ? "" : `${pairs.get("K8S_POD_NAMESPACE") ?? ""}/${name}`;
}

function badVariable(name: string, value: string | undefined): MeshError {
  const problem = value === undefined || value === "" ? "it is not set" : JSON.stringify(value);
  return new MeshError("invalid_argument", `Cannot use ${name}: ${problem}`);
}

function badConfig(reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot use network configuration: ${reason}`);
}

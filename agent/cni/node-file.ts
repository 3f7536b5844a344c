// `cni-node.json`: what the agent tells the plugin about the node, so that the plugin can work
// while the agent does not run. The agent writes it; the plugin only reads.
import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { parseAddress, parsePrefix, type Address, type Prefix } from "../../mesh/core/address.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { isRecord } from "./request.ts";

export const NODE_FILE = "cni-node.json";
/** IPv6 needs 1280 bytes (RFC 8200, section 5); no link carries more than 65535. */
const MTU_MIN = 1280;
const MTU_MAX = 65535;

export interface CniNode {
  readonly nodeName: string;
  /** In the order in which addresses are taken from them; none where another plugin gives them. */
  readonly podPrefixes: readonly Prefix[];
  /** What pods use as gateway, one a family. */
  readonly routerAddresses: readonly Address[];
  readonly mtu: number;
  readonly bpfRoot: string;
}

/** Throws `unavailable` as long as the agent has never run, `data_loss` for a broken file. */
export async function readNodeFile(stateDirectory: string): Promise<CniNode> {
  const path = join(stateDirectory, NODE_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new MeshError("unavailable", `Cannot attach pods: there is no "${path}" yet`, {
      cause,
      hint: "the agent writes it when it starts on this node; try again later",
    });
  }
  try {
    return parseNodeFile(JSON.parse(text));
  } catch (cause) {
    throw new MeshError("data_loss", `Cannot use "${path}"`, { cause });
  }
}

export function parseNodeFile(value: unknown): CniNode {
  if (!isRecord(value)) throw wrong("want an object");
  const { nodeName, mtu, bpfRoot } = value;
  if (typeof nodeName !== "string" || nodeName === "") throw wrong('"nodeName" is missing');
  if (typeof mtu !== "number" || !Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX) {
    throw wrong(`"mtu" must be a whole number from ${MTU_MIN} to ${MTU_MAX}`);
  }
  if (typeof bpfRoot !== "string" || !isAbsolute(bpfRoot)) {
    throw wrong('"bpfRoot" must be an absolute path');
  }
  const podPrefixes = parseTexts(value["podPrefixes"], "podPrefixes").map(parsePrefix);
  const routerAddresses = parseTexts(value["routerAddresses"], "routerAddresses").map(parseAddress);
  for (const { family } of podPrefixes) {
    if (!routerAddresses.some((router) => router.family === family)) {
      throw wrong(`"routerAddresses" has none of IPv${family}`);
    }
  }
  return { nodeName, podPrefixes, routerAddresses, mtu, bpfRoot };
}

function parseTexts(value: unknown, field: string): string[] {
  if (!Array.isArray(value)) throw wrong(`"${field}" must be a list`);
  if (!value.every((item) => typeof item === "string")) throw wrong(`"${field}" must hold texts`);
  return value;
}

function wrong(reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot read node file: ${reason}`);
}

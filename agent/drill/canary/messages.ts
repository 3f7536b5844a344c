// What the agent and its canary program say to each other: JSON, one message a line, orders down
// the program's standard input and results up its standard output.
import { MeshError } from "../../../mesh/core/errors.ts";
import { addressFromText } from "../../../mesh/core/address.ts";
import type { CanaryOrder, CanaryRecord, KeptFlow } from "../../../mesh/operations/questions.ts";

/** `begin` comes first and once. After `stop` nothing new is sent; what is under way is told. */
export type CanaryCommand =
  | { readonly tell: "begin"; readonly orders: readonly CanaryOrder[]; readonly ttlMs: number }
  /** From now. */
  | { readonly tell: "renew"; readonly ttlMs: number }
  | { readonly tell: "stop" };

/** Records of requests that are over: each is told once, in any order. */
export interface CanaryReport {
  readonly records: readonly (CanaryRecord & { readonly order: number })[];
  /** Orders whose kept connections have changed, with all of them. */
  readonly kept: readonly { readonly order: number; readonly flows: readonly KeptFlow[] }[];
}

export interface CanaryTarget {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
}

/** Throws `invalid_argument`. */
export function parseCanaryTarget(text: string): CanaryTarget {
  const [, protocol, ipv6, ipv4, portText] =
    /^(tcp|udp):(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(text) ?? [];
  const host = addressFromText(ipv6 ?? ipv4 ?? "");
  const port = Number(portText);
  if (
    (protocol === "tcp" || protocol === "udp") &&
    host?.family === (ipv6 === undefined ? 4 : 6) &&
    port >= 1 &&
    port <= 65_535
  ) {
    return { protocol, host: host.text, port };
  }
  throw new MeshError(
    "invalid_argument",
    `Cannot use canary target ${JSON.stringify(text.slice(0, 80))}: want tcp:ADDRESS:PORT or udp:[ADDRESS]:PORT`,
  );
}

/** The name in an answer "CLUSTER/POD NUMBER", or why it is none to this request. */
export function readAnswer(line: string, n: number): { answer: string } | { error: string } {
  const [, answer = "", number] = /^(\S{1,200})(?: (\d+))?\s*$/.exec(line) ?? [];
  if (answer === "") return { error: "the answer is no line of an echo" };
  if (number !== undefined && Number(number) !== n) {
    return { error: `the answer is to request ${number}` };
  }
  return { answer };
}

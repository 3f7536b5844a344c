// The part of the apiserver's configuration file about the operations plane: where nats-server
// listens, who keeps it running, and whose questions are answered.
import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import type { MeshError } from "../../mesh/core/errors.ts";

export interface OperationsConfig {
  /** `embedded`: our child. `beside`: another process runs what we write into `directory`. */
  readonly mode: "embedded" | "beside";
  /** Where its configuration, certificates and data stand; the cluster directory's by default. */
  readonly directory: string | undefined;
  /** `ADDRESS:PORT` for agents and operators. */
  readonly listen: string;
  /** `ADDRESS:PORT` for peers' servers. */
  readonly leafListen: string;
  /** `ADDRESS:PORT` of its monitoring: plain HTTP, so loopback. */
  readonly monitorListen: string;
  /** Leave it running when the apiserver is told to stop; the next one adopts it. */
  readonly keepRunning: boolean;
  /** Whose questions reach our agents: those of our own operators, or peers' too. */
  readonly acceptDrillsFrom: "own" | "peers";
}

const FIELDS = [
  "mode",
  "directory",
  "listen",
  "leafListen",
  "monitorListen",
  "keepRunning",
  "acceptDrillsFrom",
];
/** NATS' own port for it. */
const DEFAULT_MONITOR_LISTEN = "127.0.0.1:8222";

/** `wrong` makes the error of a field: its name, and what would be right. */
export function parseOperations(
  value: unknown,
  wrong: (field: string, want: string) => MeshError,
): OperationsConfig {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong("operations", 'an object with "listen" and "leafListen"');
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(fields).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw wrong(`operations.${unknown}`, `only ${FIELDS.join(", ")}`);
  const { mode = "embedded", directory, keepRunning = false, acceptDrillsFrom = "own" } = fields;
  if (mode !== "embedded" && mode !== "beside") {
    throw wrong("operations.mode", '"embedded" or "beside"');
  }
  const placed = typeof directory === "string" && isAbsolute(directory);
  if (directory !== undefined && !placed) throw wrong("operations.directory", "an absolute path");
  if (directory === undefined && mode === "beside") {
    throw wrong("operations.directory", 'an absolute path, with "mode": "beside"');
  }
  if (typeof keepRunning !== "boolean") throw wrong("operations.keepRunning", "true or false");
  if (acceptDrillsFrom !== "own" && acceptDrillsFrom !== "peers") {
    throw wrong("operations.acceptDrillsFrom", '"own" or "peers"');
  }
  const listen = (field: string, missing?: string): string => {
    const place = fields[field] ?? missing;
    if (typeof place === "string" && splitPlace(place) !== undefined) return place;
    throw wrong(`operations.${field}`, '"ADDRESS:PORT" with an IP address');
  };
  return {
    mode,
    directory: directory as string | undefined,
    listen: listen("listen"),
    leafListen: listen("leafListen"),
    monitorListen: listen("monitorListen", DEFAULT_MONITOR_LISTEN),
    keepRunning,
    acceptDrillsFrom,
  };
}

/** Address without brackets, and port; undefined for anything else. */
export function splitPlace(place: string): { address: string; port: number } | undefined {
  const [, host = "", port = ""] = /^(.+):(\d{1,5})$/.exec(place) ?? [];
  const address = host.replace(/^\[(.*)\]$/, "$1");
  const known = isIP(address) !== 0 && Number(port) >= 1 && Number(port) <= 65_535;
  return known ? { address, port: Number(port) } : undefined;
}

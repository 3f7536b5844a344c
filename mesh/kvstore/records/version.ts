// Which Tombolo a cluster runs, and where its operations plane is met by others:
// `{"version":"0.1.0","leaf":["198.18.1.2:7422"]}`. Clusters without the record run Cilium.
import { addressFromText, reservedAddressReason } from "../../core/address.ts";
import { openRecord, type RecordFields, type TextRule } from "./record-fields.ts";

export interface VersionRecord {
  readonly version: string;
  /** `ADDRESS:PORT` of its nats-server's leaf nodes; empty without an operations plane. */
  readonly leafEndpoints: readonly string[];
}

const VERSION: TextRule = {
  maxLength: 64,
  pattern: /^\d+\.\d+\.\d+([-+][-+.0-9A-Za-z]+)?$/,
  want: 'a version such as "0.1.0"',
};
const ENDPOINT: TextRule = {
  maxLength: 48,
  pattern: /^(\[[0-9a-f:.]+\]|[0-9.]+):\d{1,5}$/,
  want: '"ADDRESS:PORT" with an IP address',
};
/** A cluster is met at every node that may hold its apiserver; the first ones are enough. */
export const LEAF_ENDPOINTS_MAX = 64;

export function encodeVersion(version: string, leafEndpoints: readonly string[] = []): Buffer {
  const leaf = leafEndpoints.length === 0 ? undefined : leafEndpoints.slice(0, LEAF_ENDPOINTS_MAX);
  return Buffer.from(JSON.stringify({ version, leaf }));
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseVersion(name: string, value: Buffer): string {
  return parseVersionRecord(name, value).version;
}

/** The same, with all that it says. */
export function parseVersionRecord(name: string, value: Buffer): VersionRecord {
  const fields = openRecord({ kind: "version", name }, value);
  const version = fields.text("version", VERSION);
  const texts = fields.texts("leaf", { maxItems: LEAF_ENDPOINTS_MAX, rule: ENDPOINT });
  for (const text of texts) checkEndpoint(text, fields);
  return { version, leafEndpoints: texts };
}

/** A peer that named our own loopback would have us knock at our own doors. */
function checkEndpoint(text: string, fields: RecordFields): void {
  const [, host = "", port = ""] = /^(.+):(\d+)$/.exec(text) ?? [];
  const address = addressFromText(host.replace(/^\[(.*)\]$/, "$1"));
  const ordinary = address !== undefined && reservedAddressReason(address) === undefined;
  if (ordinary && Number(port) >= 1 && Number(port) <= 65_535) return;
  throw fields.refuse("leaf", { got: text, want: "an ordinary address and a port" });
}

// Which Tombolo a cluster runs: `{"version":"0.1.0"}`. Clusters without the record run Cilium.
import { openRecord, type TextRule } from "./record-fields.ts";

const VERSION: TextRule = {
  maxLength: 64,
  pattern: /^\d+\.\d+\.\d+([-+][-+.0-9A-Za-z]+)?$/,
  want: 'a version such as "0.1.0"',
};

export function encodeVersion(version: string): Buffer {
  return Buffer.from(JSON.stringify({ version }));
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseVersion(name: string, value: Buffer): string {
  return openRecord({ kind: "version", name }, value).text("version", VERSION);
}

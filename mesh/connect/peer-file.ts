// The two small YAML files of a connection, in Cilium's format (reference §4.2): how to reach a
// peer, and which peers may read us. Text in, values out; no file is touched here.
import { parseDocument, stringify } from "yaml";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";

export interface PeerFile {
  readonly endpoints: readonly string[];
  readonly trustedCaFile: string;
  readonly keyFile: string;
  readonly certFile: string;
}

/** The role that peers get in etcd: read-only, only what the cluster exports (reference §1.12). */
const REMOTE_ROLE = "remote";
const REMOTE_USER = /^remote-(.+)$/;
/** A peer file of a few lines and a user list of 511 clusters both fit many times. */
const FILE_MAX_LENGTH = 256 * 1024;

export function encodePeerFile(peer: PeerFile): string {
  return stringify({
    endpoints: peer.endpoints,
    "trusted-ca-file": peer.trustedCaFile,
    "key-file": peer.keyFile,
    "cert-file": peer.certFile,
  });
}

/** `path` only appears in messages. Throws `invalid_argument`. */
export function parsePeerFile(text: string, path: string): PeerFile {
  const fields = parseYamlObject(text, path);
  const endpoints = fields["endpoints"];
  const valid =
    Array.isArray(endpoints) &&
    endpoints.length > 0 &&
    endpoints.every((item) => typeof item === "string" && URL.canParse(item));
  if (!valid) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use "endpoints" of "${path}": want a list of URLs`,
    );
  }
  const file = (name: string): string => {
    const value = fields[name];
    if (typeof value === "string" && value !== "") return value;
    throw new MeshError("invalid_argument", `Cannot use "${name}" of "${path}": want a path`);
  };
  return {
    endpoints: endpoints as string[],
    trustedCaFile: file("trusted-ca-file"),
    keyFile: file("key-file"),
    certFile: file("cert-file"),
  };
}

/** `readers` are cluster names; the order is kept. */
export function encodeRemoteUsers(readers: readonly string[]): string {
  const users = readers.map((reader) => ({ name: `remote-${reader}`, role: REMOTE_ROLE }));
  return stringify({ users });
}

/** The names of the clusters that may read us. `path` only appears in messages. */
export function parseRemoteUsers(text: string, path: string): string[] {
  if (text.trim() === "") return [];
  const users = parseYamlObject(text, path)["users"] ?? [];
  if (!Array.isArray(users)) {
    throw new MeshError("invalid_argument", `Cannot use "users" of "${path}": want a list`);
  }
  return users.map((user: unknown) => {
    const name = (user as Record<string, unknown> | null)?.["name"];
    const reader = typeof name === "string" ? REMOTE_USER.exec(name)?.[1] : undefined;
    if (reader === undefined) {
      throw new MeshError(
        "invalid_argument",
        `Cannot use a user of "${path}": want {name: remote-CLUSTER, role: ${REMOTE_ROLE}}`,
      );
    }
    return parseClusterName(reader);
  });
}

function parseYamlObject(text: string, path: string): Record<string, unknown> {
  if (text.length > FILE_MAX_LENGTH) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse "${path}": it is longer than ${FILE_MAX_LENGTH} characters`,
    );
  }
  const { value, problem } = parseYaml(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MeshError("invalid_argument", `Cannot parse "${path}": want a YAML mapping`, {
      cause: problem,
    });
  }
  return value as Record<string, unknown>;
}

/** Without aliases: these files need none, and a few of them can name billions of values. */
function parseYaml(text: string): { value?: unknown; problem?: unknown } {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) return { problem };
  try {
    return { value: document.toJS({ maxAliasCount: 0 }) };
  } catch (error) {
    return { problem: error };
  }
}

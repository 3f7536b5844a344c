// The last known way to the cluster's etcd, on disk: an agent that starts while the Kubernetes API
// is away begins with it. The certificates stand as the files that the etcd client reads.
//
//   DIRECTORY/endpoints.json   ["https://…"]
//   DIRECTORY/ca-bundle.crt  local.crt  local.key
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import { AGENT_KEYS } from "../../mesh/kubernetes/object-names.ts";
import type { ApiObject } from "../../mesh/kubernetes/watch-state.ts";
import { readTlsFiles, type TlsFiles } from "../../mesh/kvstore/tls.ts";
import { replaceFile } from "../atomic-file.ts";

export interface AgentSecret extends ApiObject {
  /** Base64 by name. */
  readonly data?: Readonly<Record<string, string>> | null;
}

export interface RememberedAccess {
  readonly tls: TlsFiles;
  /** `[]` if none are known. */
  readEndpoints(): Promise<string[]>;
  writeEndpoints(endpoints: readonly string[]): Promise<void>;
  /** Whether the files hold certificates that can be used. */
  hasCertificates(): Promise<boolean>;
  /** Throws `invalid_argument` for a Secret that cannot be used; the files are then as before. */
  writeCertificates(secret: AgentSecret): Promise<void>;
}

/** Called as they are in the Secret. */
const FILES = {
  caFile: AGENT_KEYS.bundle,
  certFile: AGENT_KEYS.certificate,
  keyFile: AGENT_KEYS.privateKey,
} as const;
/** Nobody else's business, names included. */
const PRIVATE = { mode: 0o600, directoryMode: 0o700 };

export function createRememberedAccess(directory: string): RememberedAccess {
  const endpointsFile = join(directory, "endpoints.json");
  const tls = filesIn(directory, "");
  return {
    tls,
    async readEndpoints() {
      let value: unknown;
      try {
        value = JSON.parse(await readFile(endpointsFile, "utf8"));
      } catch {
        return []; // Missing or half written by something else: the API server will tell.
      }
      return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
    },
    writeEndpoints: (endpoints) =>
      replaceFile(endpointsFile, `${JSON.stringify(endpoints)}\n`, PRIVATE),
    async hasCertificates() {
      try {
        await readTlsFiles(tls);
        return true;
      } catch (error) {
        if (!isMeshError(error, "unavailable")) throw error;
        return false;
      }
    },
    async writeCertificates(secret) {
      // Tried under other names first: what does not fit together never replaces what works.
      const candidate = filesIn(directory, ".next");
      for (const [role, name] of Object.entries(FILES)) {
        const content = contentOf(secret, name);
        await replaceFile(candidate[role as keyof TlsFiles], content, PRIVATE);
      }
      try {
        await readTlsFiles(candidate);
      } catch (cause) {
        throw refusedSecret(secret, "its certificate, key and CA do not fit together", { cause });
      }
      for (const role of Object.keys(FILES) as (keyof TlsFiles)[]) {
        await rename(candidate[role], tls[role]);
      }
    },
  };
}

function filesIn(directory: string, suffix: string): TlsFiles {
  const path = (name: string): string => join(directory, name + suffix);
  return {
    caFile: path(FILES.caFile),
    certFile: path(FILES.certFile),
    keyFile: path(FILES.keyFile),
  };
}

function contentOf(secret: AgentSecret, name: string): Buffer {
  const encoded = secret.data?.[name];
  if (typeof encoded === "string" && encoded !== "") return Buffer.from(encoded, "base64");
  throw refusedSecret(secret, `it has no "${name}"`);
}

function refusedSecret(
  { metadata: { namespace = "", name } }: AgentSecret,
  reason: string,
  options?: ErrorOptions,
): MeshError {
  return new MeshError(
    "invalid_argument",
    `Cannot use Secret "${namespace}/${name}": ${reason}`,
    options,
  );
}

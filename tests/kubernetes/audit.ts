// What service accounts have asked of a test API server, by its own audit log: whether it was
// allowed does not depend on what a client makes of the answer.
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** One request that has been answered, or a watch that has begun. */
export interface AuditedRequest {
  /** Without what it begins with: "system:serviceaccount:NAMESPACE:". */
  readonly account: string;
  readonly verb: string;
  /** With its group, as "endpointslices.discovery.k8s.io"; empty for what is no resource. */
  readonly resource: string;
  readonly name: string;
  readonly status: number;
}

export interface Audit {
  /** For the API server. */
  readonly flags: readonly string[];
  /** Everything since the last call. */
  next(): Promise<readonly AuditedRequest[]>;
}

interface AuditLine {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly apiGroup?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

/** Of all service accounts of `namespace`; files are in `directory`. */
export async function createAudit(directory: string, namespace: string): Promise<Audit> {
  const [policy, log] = [join(directory, "audit.json"), join(directory, "audit.log")];
  await writeFile(policy, JSON.stringify(policyFor(namespace)));
  await writeFile(log, "");
  const prefix = `system:serviceaccount:${namespace}:`;
  let offset = 0;
  return {
    flags: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`],
    async next() {
      const text = await readFrom(log, offset);
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      offset += Buffer.byteLength(whole);
      const lines = whole.split("\n").filter((line) => line !== "");
      return lines.map((line) => requestFromLine(JSON.parse(line) as AuditLine, prefix));
    },
  };
}

function policyFor(namespace: string): object {
  const userGroups = [`system:serviceaccounts:${namespace}`];
  return {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived"],
    rules: [{ level: "Metadata", userGroups }, { level: "None" }],
  };
}

function requestFromLine({ verb, user, objectRef, responseStatus }: AuditLine, prefix: string) {
  const { resource = "", apiGroup = "", name = "" } = objectRef ?? {};
  return {
    account: user.username.slice(prefix.length),
    verb,
    resource: apiGroup === "" ? resource : `${resource}.${apiGroup}`,
    name,
    status: responseStatus?.code ?? 0,
  };
}

async function readFrom(path: string, offset: number): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(size - offset);
    await file.read(bytes, 0, bytes.length, offset);
    return bytes.toString("utf8");
  } finally {
    await file.close();
  }
}

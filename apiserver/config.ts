// The apiserver's configuration file: reading and checking it. Everything that can be said about
// it without touching the network is said here, with what would be right.
import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { isIP } from "node:net";
import { MeshError } from "../mesh/core/errors.ts";
import type { LogLevel } from "../mesh/core/logger.ts";
import { POLICY_SCOPES, type PolicyScope } from "../mesh/core/policy.ts";
import { parseOperations, type OperationsConfig } from "./nats/operations-config.ts";

export interface ApiserverConfig {
  /** The cluster directory (mesh/contexts/cluster-directory.ts). */
  readonly directory: string;
  readonly etcd: EtcdConfig;
  readonly source: SourceConfig;
  /** Under Kubernetes: the objects that the directory is kept equal to. */
  readonly objects: ObjectsConfig | undefined;
  /** `ADDRESS:PORT` of health and metrics; plain HTTP without secrets, so loopback by rule. */
  readonly healthListen: string;
  /** `ADDRESS:PORT` of the join API. */
  readonly joinListen: string;
  /** Undefined: the cluster has no operations plane. */
  readonly operations: OperationsConfig | undefined;
  /** What a policy's selector means that names no cluster. */
  readonly policyDefaultScope: PolicyScope;
  readonly logLevel: LogLevel;
}

export type EtcdConfig =
  | {
      readonly mode: "embedded";
      /** `https://ADDRESS:PORT`. */
      readonly listen: string;
      /** Leave etcd running when the apiserver is told to stop; the next one adopts it. */
      readonly keepRunning: boolean;
    }
  | { readonly mode: "external"; readonly endpoints: readonly string[] };

export type SourceConfig =
  | { readonly kind: "manifests" }
  | {
      readonly kind: "kubernetes";
      /** An absolute path, or "in-cluster" for the service account of the pod. */
      readonly kubeconfig: string;
      /** The file's current context if left out. */
      readonly context?: string;
    };

export interface ObjectsConfig {
  /** An absolute path, or "in-cluster" for the service account of the pod. */
  readonly kubeconfig: string;
  /** The file's current context if left out. */
  readonly context?: string;
  readonly namespace: string;
}

const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** Beside Cilium's own health ports on a machine that runs both only one can have it. */
const DEFAULT_HEALTH_LISTEN = "127.0.0.1:9880";
const FIELDS = [
  "directory",
  "etcd",
  "source",
  "objects",
  "healthListen",
  "joinListen",
  "operations",
  "policyDefaultScope",
  "logLevel",
];
const ETCD_FIELDS = {
  embedded: ["mode", "listen", "keepRunning"],
  external: ["mode", "endpoints"],
} as const;
const SOURCE_FIELDS = {
  manifests: ["kind"],
  kubernetes: ["kind", "kubeconfig", "context"],
} as const;
const OBJECTS_FIELDS = ["kubeconfig", "context", "namespace"];
/** A DNS label, RFC 1123. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Throws `not_found` or `invalid_argument` naming the file and the field. */
export async function readApiserverConfig(path: string): Promise<ApiserverConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read apiserver configuration "${path}"`, { cause });
  }
  return parseApiserverConfig(text, path);
}

/** `path` only appears in messages. */
export function parseApiserverConfig(text: string, path: string): ApiserverConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot parse "${path}" as JSON`, { cause });
  }
  const wrong = (field: string, want: string): MeshError =>
    new MeshError("invalid_argument", `Cannot use "${field}" of "${path}": want ${want}`);
  if (!isObject(value)) throw wrong("", "a JSON object");
  onlyKnown(value, { known: FIELDS, wrong });
  const { directory, joinListen, healthListen = DEFAULT_HEALTH_LISTEN, logLevel = "info" } = value;
  if (typeof directory !== "string" || !isAbsolute(directory)) {
    throw wrong("directory", "an absolute path");
  }
  if (!isHostPort(healthListen)) throw wrong("healthListen", '"ADDRESS:PORT"');
  if (!isHostPort(joinListen)) throw wrong("joinListen", '"ADDRESS:PORT"');
  const level = LOG_LEVELS.find((known) => known === logLevel);
  if (level === undefined) throw wrong("logLevel", `one of ${LOG_LEVELS.join(", ")}`);
  const scope = value["policyDefaultScope"] ?? "local";
  const policyDefaultScope = POLICY_SCOPES.find((known) => known === scope);
  if (policyDefaultScope === undefined) {
    throw wrong("policyDefaultScope", `one of ${POLICY_SCOPES.join(", ")}`);
  }
  const etcd = parseEtcd(value["etcd"], wrong);
  const { objects, operations } = value;
  if (objects !== undefined && etcd.mode !== "embedded") {
    throw wrong("objects", 'none, unless "etcd.mode" is "embedded"');
  }
  return {
    directory,
    etcd,
    source: parseSource(value["source"] ?? { kind: "manifests" }, wrong),
    objects: objects === undefined ? undefined : parseObjects(objects, wrong),
    healthListen,
    joinListen,
    operations: operations === undefined ? undefined : parseOperations(operations, wrong),
    policyDefaultScope,
    logLevel: level,
  };
}

type Wrong = (field: string, want: string) => MeshError;

function parseEtcd(value: unknown, wrong: Wrong): EtcdConfig {
  if (!isObject(value)) throw wrong("etcd", 'an object with "mode"');
  const { mode, listen, endpoints, keepRunning = false } = value;
  if (mode === "embedded") {
    onlyKnown(value, { known: ETCD_FIELDS.embedded, wrong, inside: "etcd." });
    if (!isHttps(listen)) throw wrong("etcd.listen", '"https://ADDRESS:PORT" with an IP address');
    if (typeof keepRunning !== "boolean") throw wrong("etcd.keepRunning", "true or false");
    return { mode, listen, keepRunning };
  }
  if (mode === "external") {
    onlyKnown(value, { known: ETCD_FIELDS.external, wrong, inside: "etcd." });
    const valid =
      Array.isArray(endpoints) &&
      endpoints.length > 0 &&
      endpoints.every((item) => typeof item === "string" && item.startsWith("https://"));
    if (!valid) throw wrong("etcd.endpoints", 'a list of "https://ADDRESS:PORT"');
    return { mode, endpoints: endpoints as string[] };
  }
  throw wrong("etcd.mode", '"embedded" or "external"');
}

function parseSource(value: unknown, wrong: Wrong): SourceConfig {
  if (!isObject(value)) throw wrong("source", 'an object with "kind"');
  const { kind, kubeconfig, context } = value;
  if (kind === "manifests") {
    onlyKnown(value, { known: SOURCE_FIELDS.manifests, wrong, inside: "source." });
    return { kind };
  }
  if (kind !== "kubernetes") throw wrong("source.kind", '"manifests" or "kubernetes"');
  onlyKnown(value, { known: SOURCE_FIELDS.kubernetes, wrong, inside: "source." });
  return { kind, ...parseAccess({ kubeconfig, context }, { wrong, inside: "source" }) };
}

function parseObjects(value: unknown, wrong: Wrong): ObjectsConfig {
  if (!isObject(value)) throw wrong("objects", 'an object with "kubeconfig" and "namespace"');
  onlyKnown(value, { known: OBJECTS_FIELDS, wrong, inside: "objects." });
  const { kubeconfig, context, namespace } = value;
  if (typeof namespace !== "string" || !NAMESPACE.test(namespace)) {
    throw wrong("objects.namespace", "the name of a namespace");
  }
  return { ...parseAccess({ kubeconfig, context }, { wrong, inside: "objects" }), namespace };
}

function parseAccess(
  { kubeconfig, context }: { kubeconfig: unknown; context: unknown },
  { wrong, inside }: { wrong: Wrong; inside: string },
): { kubeconfig: string; context?: string } {
  const inCluster = kubeconfig === "in-cluster";
  if (typeof kubeconfig !== "string" || (!inCluster && !isAbsolute(kubeconfig))) {
    throw wrong(`${inside}.kubeconfig`, 'an absolute path or "in-cluster"');
  }
  if (context === undefined) return { kubeconfig };
  if (typeof context !== "string" || context === "" || inCluster) {
    throw wrong(`${inside}.context`, "the name of a context of the kubeconfig file");
  }
  return { kubeconfig, context };
}

/** A misspelt field would otherwise be a default that nobody asked for. */
function onlyKnown(
  value: Record<string, unknown>,
  options: { known: readonly string[]; wrong: Wrong; inside?: string },
): void {
  const { known, wrong, inside = "" } = options;
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown !== undefined) throw wrong(`${inside}${unknown}`, `only ${known.join(", ")}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isHostPort(value: unknown): value is string {
  if (typeof value !== "string") return false;
  const [, host = "", port = ""] = /^(.+):(\d{1,5})$/.exec(value) ?? [];
  return isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0 && Number(port) <= 65_535;
}

function isHttps(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value.startsWith("https://") &&
    isHostPort(value.slice("https://".length))
  );
}

// What an installation is told: everything in which two clusters may differ. Parsed from flags or
// from what a former `mesh install` left at the ConfigMap; everything else is render.ts's.
import { isIP } from "node:net";
import { parseClusterId, parseClusterName, parseMaxConnectedClusters } from "../core/cluster.ts";
import type { ClusterIdentity } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";
import { POLICY_SCOPES, type PolicyScope } from "../core/policy.ts";
import { DEFAULT_NAMESPACE } from "../kubernetes/object-names.ts";

/** How pods get their interface; see docs/kubernetes.md. */
export type CniMode = "network" | "chained" | "none";

/** "own": an operator of a peer is refused, by not being heard. */
export type DrillsFrom = "own" | "peers";

export interface InstallSettings {
  readonly cluster: ClusterIdentity;
  readonly namespace: string;
  readonly image: string;
  readonly cni: CniMode;
  /** In mode "chained": the file name of the other plugin's configuration; found if undefined. */
  readonly chainAfter: string | undefined;
  /** MTU between nodes. */
  readonly underlayMtu: number;
  /** How many nodes' agents are exchanged at once: a number, or a share like "10%". */
  readonly maxUnavailable: string;
  /** `HOST:PORT` at which pods of the host's network reach the API server; found if undefined. */
  readonly apiServer: string | undefined;
  /** `https://…` of the cluster's etcd for peers; every node's InternalIP if empty. */
  readonly endpoints: readonly string[];
  /** `HOST:PORT` of the join API for peers; the first node's InternalIP if undefined. */
  readonly joinEndpoint: string | undefined;
  /** Whose drills this cluster takes part in: its own operators', or those of its peers too. */
  readonly acceptDrillsFrom: DrillsFrom;
  readonly policyDefaultScope: PolicyScope;
}

/** Every setting by its flag's name, as text; a list for what may be repeated. */
export type SettingTexts = Readonly<Record<string, string | readonly string[] | undefined>>;

const CNI_MODES: readonly CniMode[] = ["network", "chained", "none"];
const DRILLS_FROM: readonly DrillsFrom[] = ["own", "peers"];
const DEFAULT_MTU = 1_500;
/** IPv6's minimum plus the largest outer headers; what the agent accepts. */
const MTU_MIN = 1_350;
const MTU_MAX = 65_535;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** Namespaces that are not ours to fill, label and remove. */
const SHARED_NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];
const IMAGE = /^[a-z0-9][-a-z0-9._/:]*[a-z0-9](:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/;
const CNI_FILE = /^[\w][\w.-]*\.(conf|conflist|json)$/;
const SHARE = /^([1-9]\d{0,3}|([1-9]\d?|100)%)$/;

/** The image of a version, as deploy/images builds it. */
export function defaultImage(version: string): string {
  return `tombolo:${version}`;
}

/** Throws `invalid_argument` naming the flag and what would be right. */
export function parseSettings(texts: SettingTexts, version: string): InstallSettings {
  const text = (name: string): string | undefined => {
    const value = texts[name];
    return typeof value === "string" ? value : undefined;
  };
  const maxConnectedClusters = parseMaxConnectedClusters(
    Number(text("max-connected-clusters") ?? 255),
  );
  const endpoints = texts["endpoint"] ?? [];
  const cni = parseCniMode(text("cni") ?? "network");
  return {
    cluster: {
      name: parseClusterName(text("cluster-name")),
      id: parseClusterId(wholeNumber(text("cluster-id")), maxConnectedClusters),
      maxConnectedClusters,
    },
    namespace: parseNamespace(text("namespace") ?? DEFAULT_NAMESPACE),
    image: parseWith(text("image") ?? defaultImage(version), {
      flag: "image",
      isRight: (value) => IMAGE.test(value),
      want: "the name of a container image, like registry.example/tombolo:1.0",
    }),
    cni,
    chainAfter: parseChainAfter(text("chain-after"), cni),
    underlayMtu: parseMtu(text("mtu")),
    maxUnavailable: parseWith(text("max-unavailable") ?? "1", {
      flag: "max-unavailable",
      isRight: (value) => SHARE.test(value),
      want: 'a number of nodes or a share like "10%"',
    }),
    apiServer: parseHostPort(text("api-server"), "api-server"),
    endpoints: (typeof endpoints === "string" ? [endpoints] : endpoints).map(parseEndpoint),
    joinEndpoint: parseHostPort(text("join-endpoint"), "join-endpoint"),
    acceptDrillsFrom: parseDrillsFrom(text("accept-drills-from") ?? "own"),
    policyDefaultScope: parsePolicyScope(text("policy-default-scope") ?? "local"),
  };
}

/** The texts that make the same settings again: what an upgrade starts from. */
export function textsFromSettings(settings: InstallSettings): SettingTexts {
  const { cluster } = settings;
  return {
    "cluster-name": cluster.name,
    "cluster-id": String(cluster.id),
    "max-connected-clusters": String(cluster.maxConnectedClusters),
    namespace: settings.namespace,
    image: settings.image,
    cni: settings.cni,
    ...(settings.chainAfter === undefined ? {} : { "chain-after": settings.chainAfter }),
    mtu: String(settings.underlayMtu),
    "max-unavailable": settings.maxUnavailable,
    ...(settings.apiServer === undefined ? {} : { "api-server": settings.apiServer }),
    ...(settings.endpoints.length === 0 ? {} : { endpoint: settings.endpoints }),
    ...(settings.joinEndpoint === undefined ? {} : { "join-endpoint": settings.joinEndpoint }),
    "accept-drills-from": settings.acceptDrillsFrom,
    "policy-default-scope": settings.policyDefaultScope,
  };
}

export function parseNamespace(value: string): string {
  if (!NAMESPACE.test(value)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use --namespace "${value}": want at most 63 lower-case letters, digits and inner dashes`,
    );
  }
  if (SHARED_NAMESPACES.includes(value)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use --namespace "${value}": want a namespace for Tombolo alone, since uninstalling removes it`,
    );
  }
  return value;
}

/** "[::1]:6443" and "10.0.0.1:6443" and "api.example:6443" into host and port. */
export function splitHostPort(value: string): { readonly host: string; readonly port: string } {
  const at = value.lastIndexOf(":");
  return { host: value.slice(0, at).replace(/^\[(.*)\]$/, "$1"), port: value.slice(at + 1) };
}

function wholeNumber(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

function parseDrillsFrom(value: string): DrillsFrom {
  const known = DRILLS_FROM.find((one) => one === value);
  if (known !== undefined) return known;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --accept-drills-from "${value}": want ${DRILLS_FROM.join(" or ")}`,
  );
}

function parsePolicyScope(value: string): PolicyScope {
  const known = POLICY_SCOPES.find((one) => one === value);
  if (known !== undefined) return known;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --policy-default-scope "${value}": want ${POLICY_SCOPES.join(" or ")}`,
  );
}

function parseCniMode(value: string): CniMode {
  const mode = CNI_MODES.find((known) => known === value);
  if (mode !== undefined) return mode;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --cni "${value}": want one of ${CNI_MODES.join(", ")}`,
  );
}

function parseChainAfter(value: string | undefined, mode: CniMode): string | undefined {
  if (value === undefined) return undefined;
  if (mode !== "chained") {
    throw new MeshError(
      "invalid_argument",
      `Cannot use --chain-after with --cni ${mode}: want --cni chained`,
    );
  }
  return parseWith(value, {
    flag: "chain-after",
    isRight: (text) => CNI_FILE.test(text),
    want: "the file name of a CNI configuration, like 10-aws.conflist",
  });
}

function parseMtu(text: string | undefined): number {
  if (text === undefined) return DEFAULT_MTU;
  const value = wholeNumber(text);
  if (typeof value === "number" && value >= MTU_MIN && value <= MTU_MAX) return value;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --mtu "${text}": want a whole number from ${MTU_MIN} to ${MTU_MAX}`,
  );
}

function parseHostPort(value: string | undefined, flag: string): string | undefined {
  if (value === undefined) return undefined;
  return parseWith(value, { flag, isRight: isHostPort, want: '"HOST:PORT"' });
}

function isHostPort(value: string): boolean {
  const { host, port } = splitHostPort(value);
  const hostFits = isIP(host) !== 0 || /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/i.test(host);
  return hostFits && /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
}

function parseEndpoint(value: string): string {
  const prefix = "https://";
  return parseWith(value, {
    flag: "endpoint",
    isRight: (text) => text.startsWith(prefix) && isHostPort(text.slice(prefix.length)),
    want: '"https://HOST:PORT"',
  });
}

function parseWith(
  value: string,
  rule: {
    readonly flag: string;
    readonly isRight: (value: string) => boolean;
    readonly want: string;
  },
): string {
  if (rule.isRight(value)) return value;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --${rule.flag} "${value}": want ${rule.want}`,
  );
}

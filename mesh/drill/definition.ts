// What a drill is: the fault, whom it concerns, what must not be lost, and what stops it. From a
// file or from flags, the same value with the same defaults. Pure.
import { createHash } from "node:crypto";
import { parseClusterName } from "../core/cluster.ts";
import { messageFromError } from "../core/errors.ts";
import { BREAK_TTL_MAX_MS, type FaultDirection } from "../operations/questions.ts";
import { Fields, type Place } from "./fields.ts";
import { parseSchedule, type Schedule } from "./calendar.ts";
import type { Objectives } from "./report.ts";

export const DEFINITION_VERSION = 1;

export const FAULT_KINDS = [
  "cluster-black-hole",
  "cluster-refuse",
  "partition",
  "node-loss",
  "latency",
  "loss",
  "control-plane-loss",
  "apiserver-kill",
  "etcd-kill",
  "nats-kill",
  "drain",
  "stale-cluster",
  "key-rotation",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Faults that no packet may feel: what forwards does not wait for what they break. */
export const CONTROL_PLANE_KINDS: ReadonlySet<FaultKind> = new Set<FaultKind>([
  "control-plane-loss",
  "apiserver-kill",
  "etcd-kill",
  "nats-kill",
  "stale-cluster",
]);

export interface DrillFault {
  readonly kind: FaultKind;
  /** The cluster that it happens to. */
  readonly cluster: string;
  /** The other side of a partition; "" for other kinds. */
  readonly peer: string;
  /** The node that is lost; "" for other kinds. */
  readonly node: string;
  /** Packets dropped (loss) or new connections sent elsewhere (drain), 1 … 100. */
  readonly percent: number;
}

export interface Scope {
  /** The services that are judged, "NAMESPACE/NAME"; empty for all that the fault touches. */
  readonly services: readonly string[];
  /** As the faulted cluster sees it. */
  readonly direction: FaultDirection;
  readonly flowPercent: number;
  /** Clusters that the faulted one loses; empty for all others. */
  readonly peers: readonly string[];
}

export interface Check {
  /** A URL that must answer 2xx, or a program that must end with status 0. */
  readonly probe:
    | { readonly kind: "http"; readonly url: string }
    | { readonly kind: "exec"; readonly argv: readonly string[] };
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** So many failures in a row end the drill. */
  readonly failures: number;
}

export interface Guards {
  /** Errors of services that the fault must not touch, 0 … 1; undefined when switched off. */
  readonly collateralErrorRatio: number | undefined;
  /** Of the same services; undefined when switched off. */
  readonly maxP99Ms: number | undefined;
  readonly checks: readonly Check[];
}

export interface CanaryWish {
  readonly protocol: "connect" | "echo";
  readonly perSecond: number;
  readonly timeoutMs: number;
  readonly keepOne: boolean;
}

/** The longest hold-down of a cluster that failed again and again, and its gradual return. */
const FAILBACK_MS = 90_000;

export interface DrillDefinition {
  readonly name: string;
  readonly hypothesis: string;
  readonly fault: DrillFault;
  readonly scope: Scope;
  readonly baselineMs: number;
  readonly durationMs: number;
  /** How long to look on after the fault was lifted. */
  readonly failbackMs: number;
  readonly objectives: {
    readonly default: Objectives;
    readonly services: Readonly<Record<string, Objectives>>;
  };
  readonly guards: Guards;
  readonly canaries: CanaryWish;
  readonly runs: number;
  /** Undefined: chosen when it runs, and told in the report. */
  readonly seed: number | undefined;
  readonly schedule: Schedule | undefined;
}

/** The longest that a fault may last: canaries are ordered for an hour at most. */
const DURATION_MAX_MS = 30 * 60_000;
const SERVICE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DRILL_NAME = /^[a-z0-9]([-a-z0-9]{0,34}[a-z0-9])?$/;
const FIELDS = [
  "version",
  "name",
  "hypothesis",
  "fault",
  "scope",
  "baseline",
  "duration",
  "failback",
  "objectives",
  "guards",
  "canaries",
  "runs",
  "seed",
  "schedule",
] as const;
const OBJECTIVES = [
  "rto",
  "maxLostRequests",
  "maxErrorRatio",
  "maxHungFlows",
  "maxP99",
  "maxReconnects",
  "maxMovedRatio",
  "failbackRto",
] as const;

/** `place` only appears in errors: `invalid_argument`, one sentence. */
export function definitionFrom(value: unknown, place: Place): DrillDefinition {
  const fields = new Fields(value, { path: [], place, known: FIELDS });
  const version = fields.number("version", { min: 0, max: Number.MAX_SAFE_INTEGER });
  if (version !== DEFINITION_VERSION) {
    const now = version === undefined ? "is missing" : `is ${version}`;
    throw fields.wrong("version", `${now}: want ${DEFINITION_VERSION}`);
  }
  const name = fields.requiredText("name");
  if (!DRILL_NAME.test(name)) {
    throw fields.wrong("name", `is "${name}": want at most 36 of a-z, 0-9 and inner dashes`);
  }
  const fault = faultFrom(fields);
  const time = (key: string, min: number, max = DURATION_MAX_MS): number | undefined =>
    fields.duration(key, { min, max });
  const longestMs = CONTROL_PLANE_KINDS.has(fault.kind) ? BREAK_TTL_MAX_MS : DURATION_MAX_MS;
  return {
    name,
    hypothesis: fields.text("hypothesis") ?? "",
    fault,
    scope: scopeFrom(fields, fault),
    baselineMs: time("baseline", 500) ?? 5_000,
    durationMs: time("duration", 1_000, longestMs) ?? 20_000,
    failbackMs: time("failback", 0) ?? FAILBACK_MS,
    objectives: objectivesFrom(fields, fault.kind),
    guards: guardsFrom(fields),
    canaries: canariesFrom(fields),
    runs: fields.number("runs", { min: 1, max: 1_000 }) ?? 1,
    seed: fields.number("seed", { min: 0, max: 0xffff_ffff }),
    schedule: fields.has("schedule") ? parseSchedule(fields) : undefined,
  };
}

/** The same for two definitions of one drill, however often and when they run. */
export function definitionDigest(definition: DrillDefinition): string {
  const { runs: _runs, seed: _seed, schedule: _schedule, ...same } = definition;
  return createHash("sha256").update(canonicalJson(same)).digest("hex").slice(0, 16);
}

/** What was asked for, in a few words: "west: 30 % of packets". */
export function describeFault({ fault, scope }: DrillDefinition): string {
  const parts = [
    fault.node === "" ? fault.cluster : `node ${fault.node} of ${fault.cluster}`,
    ...(fault.peer === "" ? [] : [`and ${fault.peer}`]),
    ...(scope.peers.length === 0 ? [] : [`towards ${scope.peers.join(", ")}`]),
    ...(scope.direction === "both" ? [] : [`${scope.direction} only`]),
    ...(scope.flowPercent === 100 ? [] : [`${scope.flowPercent} % of flows`]),
    ...(fault.kind === "loss" ? [`${fault.percent} % of packets`] : []),
    ...(fault.kind === "drain" ? [`by ${fault.percent} %`] : []),
  ];
  return parts.join(", ").replace(", and", " and");
}

function faultFrom(parent: Fields): DrillFault {
  const fields = parent.child("fault", ["kind", "cluster", "peer", "node", "percent"]);
  const kind = fields.oneOf("kind", FAULT_KINDS);
  if (kind === undefined) {
    throw fields.wrong("kind", `is missing: want one of ${FAULT_KINDS.join(", ")}`);
  }
  if (kind === "key-rotation") {
    throw fields.wrong("kind", 'is "key-rotation": it needs encryption, which this mesh has not');
  }
  const only = (name: string, kinds: readonly FaultKind[]): void => {
    if (!fields.has(name) || kinds.includes(kind)) return;
    throw fields.wrong(name, `does not belong to a ${kind}: leave it out`);
  };
  only("peer", ["partition"]);
  only("node", ["node-loss"]);
  only("percent", ["loss", "drain"]);
  const cluster = clusterName(fields, "cluster");
  const peer = kind === "partition" ? clusterName(fields, "peer") : "";
  if (peer === cluster) throw fields.wrong("peer", `is "${peer}": want another than the cluster`);
  const percent = fields.number("percent", { min: 1, max: 100 });
  return {
    kind,
    cluster,
    peer,
    node: kind === "node-loss" ? fields.requiredText("node") : "",
    percent: percent ?? (kind === "loss" ? 10 : 100),
  };
}

function scopeFrom(parent: Fields, fault: DrillFault): Scope {
  const fields = parent.child("scope", ["services", "direction", "flowPercent", "peers"]);
  const services = fields.texts("services");
  for (const service of services) checkService(fields, "services", service);
  const peers = fields.texts("peers");
  for (const peer of peers) checkCluster(fields, "peers", peer);
  if (peers.includes(fault.cluster)) {
    throw fields.wrong("peers", `names the faulted cluster "${fault.cluster}": want others`);
  }
  if (fault.kind === "partition" && peers.length > 0) {
    throw fields.wrong("peers", "does not belong to a partition: fault.peer names the other side");
  }
  return {
    services,
    direction: fields.oneOf("direction", ["both", "outbound", "inbound"]) ?? "both",
    flowPercent: fields.number("flowPercent", { min: 1, max: 100 }) ?? 100,
    peers,
  };
}

function objectivesFrom(parent: Fields, kind: FaultKind): DrillDefinition["objectives"] {
  const fields = parent.child("objectives", ["default", "services"]);
  const usual = fields.has("default")
    ? oneObjectives(fields.child("default", OBJECTIVES))
    : defaultObjectives(kind);
  const services = fields.child("services", []);
  const named = services.names().map((service) => {
    checkService(services, service, service);
    return [service, { ...usual, ...oneObjectives(services.child(service, OBJECTIVES)) }] as const;
  });
  return { default: usual, services: Object.fromEntries(named) };
}

/** What everybody expects who says nothing. */
function defaultObjectives(kind: FaultKind): Objectives {
  if (CONTROL_PLANE_KINDS.has(kind)) {
    return { maxLostRequests: 0, maxHungFlows: 0, maxReconnects: 0, maxMovedRatio: 0 };
  }
  if (kind === "drain") return { maxLostRequests: 0, maxHungFlows: 0 };
  if (kind === "latency" || kind === "loss") return { maxHungFlows: 0 };
  return { rtoMs: 1_000, maxHungFlows: 0 };
}

function oneObjectives(fields: Fields): Objectives {
  const ms = (name: string): number | undefined =>
    fields.duration(name, { min: 0, max: DURATION_MAX_MS });
  const count = (name: string): number | undefined =>
    fields.number(name, { min: 0, max: Number.MAX_SAFE_INTEGER });
  const ratio = (name: string): number | undefined =>
    fields.number(name, { min: 0, max: 1, whole: false });
  const all = {
    rtoMs: ms("rto"),
    maxLostRequests: count("maxLostRequests"),
    maxErrorRatio: ratio("maxErrorRatio"),
    maxHungFlows: count("maxHungFlows"),
    maxP99Ms: ms("maxP99"),
    maxReconnects: count("maxReconnects"),
    maxMovedRatio: ratio("maxMovedRatio"),
    failbackRtoMs: ms("failbackRto"),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function guardsFrom(parent: Fields): Guards {
  const fields = parent.child("guards", ["enabled", "collateralErrorRatio", "maxP99", "checks"]);
  const on = fields.boolean("enabled") ?? true;
  const ratio = fields.number("collateralErrorRatio", { min: 0, max: 1, whole: false });
  const p99 = fields.duration("maxP99", { min: 1, max: DURATION_MAX_MS });
  return {
    collateralErrorRatio: on ? (ratio ?? 0.05) : undefined,
    maxP99Ms: on ? (p99 ?? 5_000) : undefined,
    checks: on ? fields.children("checks", CHECK_FIELDS).map(checkFrom) : [],
  };
}

const CHECK_FIELDS = ["http", "exec", "interval", "timeout", "failures"];

function checkFrom(fields: Fields): Check {
  const url = fields.text("http");
  const argv = fields.texts("exec");
  if ((url === undefined) === (argv.length === 0)) {
    throw fields.wrong("http", "and exec: want exactly one of both");
  }
  if (url !== undefined && !/^https?:\/\//.test(url)) {
    throw fields.wrong("http", `is "${url}": want "http://…" or "https://…"`);
  }
  const range = { min: 100, max: 3_600_000 };
  return {
    probe: url === undefined ? { kind: "exec", argv } : { kind: "http", url },
    intervalMs: fields.duration("interval", range) ?? 2_000,
    timeoutMs: fields.duration("timeout", range) ?? 2_000,
    failures: fields.number("failures", { min: 1, max: 1_000 }) ?? 3,
  };
}

function canariesFrom(parent: Fields): CanaryWish {
  const fields = parent.child("canaries", ["protocol", "perSecond", "timeout", "keepOne"]);
  return {
    protocol: fields.oneOf("protocol", ["connect", "echo"]) ?? "connect",
    perSecond: fields.number("perSecond", { min: 1, max: 1_000 }) ?? 20,
    timeoutMs: fields.duration("timeout", { min: 50, max: 60_000 }) ?? 2_000,
    keepOne: fields.boolean("keepOne") ?? true,
  };
}

function clusterName(fields: Fields, name: string): string {
  const value = fields.requiredText(name);
  checkCluster(fields, name, value);
  return value;
}

function checkCluster(fields: Fields, name: string, value: string): void {
  try {
    parseClusterName(value);
  } catch (error) {
    throw fields.wrong(name, `is no cluster: ${messageFromError(error)}`);
  }
}

function checkService(fields: Fields, name: string, service: string): void {
  if (SERVICE.test(service)) return;
  throw fields.wrong(name, `names "${service}": want NAMESPACE/NAME`);
}

/** Keys in order, so that the order in a file means nothing. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

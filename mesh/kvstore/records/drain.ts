// Drains: new connections shall go elsewhere (DESIGN.md, "Drain"). One record says it of one
// cluster, whole or for some services. The same fields stand in etcd and in `drains.json`.
import { parseClusterName, type ClusterId, type ClusterIdentity } from "../../core/cluster.ts";
import { messageFromError } from "../../core/errors.ts";
import { openRecord, refusal, type RecordFields, type TextRule } from "./record-fields.ts";

export interface DrainRecord {
  /** Chosen by whoever ordered it; [a-z0-9-], at most 40 characters. */
  readonly id: string;
  /** The cluster that gets less; in `state` and `cache` always the writer itself. */
  readonly cluster: string;
  /** Undefined while it is not known. */
  readonly clusterId: ClusterId | undefined;
  /** Share of new connections that goes elsewhere, 1 … 100. */
  readonly percent: number;
  /** "NAMESPACE/NAME"; empty for all. */
  readonly services: readonly string[];
  /** Wall clock, milliseconds since 1970; 0 for none. */
  readonly expiresAtMs: number;
  /** How long established flows are left alone, in seconds. */
  readonly graceSeconds: number;
  readonly reason: string;
  readonly createdAtMs: number;
}

/** A drain of more single services is better ordered of the whole cluster. */
export const MAX_DRAINS = 1_000;
export const MAX_DRAIN_SERVICES = 1_000;
/** A day; established flows that may stay longer need no drain. */
export const MAX_GRACE_SECONDS = 86_400;
export const MAX_REASON_LENGTH = 200;
/** The width of the wider of the two layouts of identities. */
const MAX_CLUSTER_ID = 511;

const ID: TextRule = {
  maxLength: 40,
  pattern: /^[a-z0-9-]+$/,
  want: "small letters, digits and hyphens, at most 40",
};
/** A namespace (RFC 1123 label) and a Service's name (the same). */
const SERVICE: TextRule = {
  maxLength: 127,
  pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
  want: '"NAMESPACE/NAME"',
};
const REASON: TextRule = {
  maxLength: MAX_REASON_LENGTH,
  want: `a text of at most ${MAX_REASON_LENGTH} characters in one line`,
  optional: true,
};
const TIME = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** The tail of the record's key. */
export function drainName(drain: DrainRecord): string {
  return drain.id;
}

export function encodeDrain(drain: DrainRecord): Buffer {
  return Buffer.from(JSON.stringify(drain));
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseDrain(name: string, value: Buffer): DrainRecord {
  const fields = openRecord({ kind: "drain", name }, value);
  fields.exactly("id", name);
  return drainFromFields(fields);
}

/** What a cluster may say of drains to others: that it drains itself, and nothing of anybody else. */
export function parseOwnDrain(name: string, value: Buffer, cluster: ClusterIdentity): DrainRecord {
  const drain = parseDrain(name, value);
  const subject = { kind: "drain", name };
  if (drain.cluster !== cluster.name) {
    throw refusal(
      subject,
      `"${cluster.name}" drains cluster "${drain.cluster}", and may drain itself only`,
    );
  }
  if (drain.clusterId !== undefined && drain.clusterId !== cluster.id) {
    throw refusal(subject, `field "clusterId" is ${drain.clusterId}, want ${cluster.id}`);
  }
  return { ...drain, clusterId: cluster.id };
}

/** Throws `invalid_argument` naming the field. */
export function drainFromFields(fields: RecordFields): DrainRecord {
  const cluster = fields.text("cluster", { maxLength: 32, want: "a cluster's name" });
  try {
    parseClusterName(cluster);
  } catch (error) {
    throw refusal(fields.subject, messageFromError(error));
  }
  return {
    id: fields.text("id", ID),
    cluster,
    clusterId: fields.has("clusterId")
      ? fields.integer("clusterId", { min: 1, max: MAX_CLUSTER_ID })
      : undefined,
    percent: fields.integer("percent", { min: 1, max: 100 }),
    services: fields.texts("services", { maxItems: MAX_DRAIN_SERVICES, rule: SERVICE }),
    expiresAtMs: fields.integer("expiresAtMs", { ...TIME, missing: 0 }),
    graceSeconds: fields.integer("graceSeconds", { min: 0, max: MAX_GRACE_SECONDS, missing: 0 }),
    reason: fields.text("reason", REASON),
    createdAtMs: fields.integer("createdAtMs", { ...TIME, missing: 0 }),
  };
}

/** Whether it is in force at `nowMs` by the wall clock. */
export function drainIsInForce(drain: DrainRecord, nowMs: number): boolean {
  return drain.expiresAtMs === 0 || drain.expiresAtMs > nowMs;
}

export function sameDrain(a: DrainRecord, b: DrainRecord): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

// Identities: a number in the key, a label set in the value (reference §2.3). The value is not
// JSON but `source:key=value;` for each label.
import { identityRange, type IdentityNumber } from "../../core/identity.ts";
import type { ClusterIdentity } from "../../core/cluster.ts";
import { CLUSTER_LABEL, IDENTITY_LABEL, labelKey, sortLabels } from "./identity-labels.ts";
import {
  refusal,
  show,
  textFromRecord,
  textIsAllowed,
  type RecordSubject,
} from "./record-fields.ts";

export { identityLabelsForPod, type PodLabels } from "./identity-labels.ts";

/** A label set and the number that stands for it. */
export interface IdentityRecord {
  readonly number: IdentityNumber;
  /** `source:key=value`, sorted by key, every key once. */
  readonly labels: readonly string[];
}

/** Pod and namespace labels together; Kubernetes bounds them only by an object's size. */
export const IDENTITY_MAX_LABELS = 1_024;

/** The tail of the record's key. */
export function identityName(identity: { readonly number: IdentityNumber }): string {
  return String(identity.number);
}

export function encodeIdentity(labels: Iterable<string>): Buffer {
  return Buffer.from(
    sortLabels(labels)
      .map((label) => `${label};`)
      .join(""),
  );
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseIdentity(
  name: string,
  value: Buffer,
  cluster: ClusterIdentity,
): IdentityRecord {
  const subject: RecordSubject = { kind: "identity", name };
  const number = numberFromName(subject, cluster);
  const text = textFromRecord(subject, value);
  if (!text.endsWith(";")) {
    throw refusal(subject, `the labels are ${show(text)}, want ${IDENTITY_LABEL.want}`);
  }
  const labels = text.slice(0, -1).split(";", IDENTITY_MAX_LABELS + 1);
  if (labels.length > IDENTITY_MAX_LABELS) {
    throw refusal(subject, `there are more than ${IDENTITY_MAX_LABELS} labels`);
  }
  checkLabels(subject, labels);
  const own = `${CLUSTER_LABEL}=${cluster.name}`;
  if (!labels.includes(own)) {
    throw refusal(subject, `the label ${show(own)} is missing, want it in every pod identity`);
  }
  return { number, labels: sortLabels(labels) };
}

function numberFromName(subject: RecordSubject, cluster: ClusterIdentity): IdentityNumber {
  const number = /^[1-9]\d{0,7}$/.test(subject.name) ? Number(subject.name) : -1;
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  if (number >= first && number <= last) return number;
  throw refusal(subject, `want a number from ${first} to ${last} (cluster ${cluster.id})`);
}

function checkLabels(subject: RecordSubject, labels: readonly string[]): void {
  const keys = new Set<string>();
  for (const label of labels) {
    if (!textIsAllowed(label, IDENTITY_LABEL)) {
      throw refusal(subject, `a label is ${show(label)}, want ${IDENTITY_LABEL.want}`);
    }
    const key = labelKey(label);
    if (keys.has(key)) {
      throw refusal(subject, `the label key ${show(key)} stands there twice, want it once`);
    }
    keys.add(key);
  }
}

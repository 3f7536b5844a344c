// Which labels make a pod's identity: Cilium's set, so that the same pod has the same labels in
// the eyes of either. Labels that differ from pod to pod of one workload are left out, or every
// pod would be an identity of its own.
import { textIsAllowed, type TextRule } from "./record-fields.ts";

/** One label of an identity. A semicolon would end it and begin another. */
export const IDENTITY_LABEL: TextRule = {
  // A source, a key behind Cilium's prefix for namespace labels, and a value.
  maxLength: 512,
  pattern: /^[-a-z0-9]+:[^:=;\s\p{C}][^=;\s\p{C}]*=[^;\p{C}]*$/u,
  want: 'labels of the form "source:key=value;"',
};

/** Every pod identity names its cluster with this label. */
export const CLUSTER_LABEL = "k8s:io.cilium.k8s.policy.cluster";
const SERVICE_ACCOUNT_LABEL = "k8s:io.cilium.k8s.policy.serviceaccount";
export const NAMESPACE_LABEL = "k8s:io.kubernetes.pod.namespace";
export const NAMESPACE_LABELS_PREFIX = "k8s:io.cilium.k8s.namespace.labels.";

export interface PodLabels {
  readonly cluster: string;
  readonly namespace: string;
  readonly namespaceLabels: ReadonlyMap<string, string>;
  readonly serviceAccount: string;
  readonly labels: ReadonlyMap<string, string>;
}

/**
 * The pod's identity labels as `source:key=value`, sorted. What cannot be one label (Kubernetes
 * accepts no such text) is left out, so that no value can smuggle in another label.
 */
export function identityLabelsForPod(pod: PodLabels): string[] {
  const labels = [
    `${CLUSTER_LABEL}=${pod.cluster}`,
    `${SERVICE_ACCOUNT_LABEL}=${pod.serviceAccount}`,
    `${NAMESPACE_LABEL}=${pod.namespace}`,
  ];
  for (const [key, value] of pod.labels) {
    if (isOneKey(key) && labelIsRelevant(key)) labels.push(`k8s:${key}=${value}`);
  }
  for (const [key, value] of pod.namespaceLabels) {
    if (isOneKey(key)) labels.push(`${NAMESPACE_LABELS_PREFIX}${key}=${value}`);
  }
  return sortLabels(labels.filter((label) => textIsAllowed(label, IDENTITY_LABEL)));
}

/** Whether a pod's identity can have a label of this key (without `k8s:`). Others select nobody. */
export function identityCarriesKey(key: string): boolean {
  if (!isOneKey(key) || !textIsAllowed(`k8s:${key}=`, IDENTITY_LABEL)) return false;
  const own = [CLUSTER_LABEL, SERVICE_ACCOUNT_LABEL, NAMESPACE_LABEL].includes(`k8s:${key}`);
  return own || `k8s:${key}`.startsWith(NAMESPACE_LABELS_PREFIX) || labelIsRelevant(key);
}

/** By key, which is Cilium's order; sorting whole texts would put `app.x` before `app`. */
export function sortLabels(labels: Iterable<string>): string[] {
  return [...labels]
    .map((label) => ({ label, key: labelKey(label) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ label }) => label);
}

/** The key of a `source:key=value` label. */
export function labelKey(label: string): string {
  return label.slice(label.indexOf(":") + 1, label.indexOf("="));
}

/** Starts of label keys that say nothing about what a pod may do (Cilium's default filter). */
const IRRELEVANT_STARTS = [
  "io.kubernetes",
  "kubernetes.io",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "batch.kubernetes.io/job-completion-index",
  "batch.kubernetes.io/controller-uid",
  "k8s.io",
  "pod-template-generation",
  "pod-template-hash",
  "controller-revision-hash",
  "controller-uid",
  "annotation",
  "etcd_node",
] as const;

/** Starts of label keys that are this file's own to write. */
const OWN_STARTS = ["io.cilium.k8s.policy.", "io.cilium.k8s.namespace.labels."] as const;

/** The first "=" ends a label's key, so a key that holds one would be read as another key. */
function isOneKey(key: string): boolean {
  return !key.includes("=");
}

function labelIsRelevant(key: string): boolean {
  return (
    !key.includes("beta.kubernetes.io") &&
    !IRRELEVANT_STARTS.some((start) => key.startsWith(start)) &&
    !OWN_STARTS.some((start) => key.startsWith(start))
  );
}

// What an object of an installation is, which labels it carries, and where the API server has it.
import { MeshError } from "../core/errors.ts";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** By this label an installation's objects are found again, whatever their kind. */
export const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";
export const MANAGED_BY = "mesh-install";
export const VERSION_LABEL = "app.kubernetes.io/version";
/** On objects that are in no namespace: the namespace of the installation they belong to. */
export const NAMESPACE_LABEL = "tombolo.io/namespace";
/** On ConfigMap `tombolo-cluster`: the settings, for the next upgrade. */
export const SETTINGS_ANNOTATION = "tombolo.io/install-settings";
/** On pods: a digest of what they read only when they start. */
export const CONFIGURATION_ANNOTATION = "tombolo.io/configuration";

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/**
 * Every kind that an installation ever had, in the order in which objects are applied. What is
 * pruned and removed is looked for here, so a kind stays when its last object has gone.
 */
export const KINDS: readonly Kind[] = [
  { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false },
  { apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts", namespaced: true },
  ...(["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] as const).map((kind) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced: !kind.startsWith("Cluster"),
  })),
  { apiVersion: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true },
  { apiVersion: "v1", kind: "Service", plural: "services", namespaced: true },
  { apiVersion: "apps/v1", kind: "Deployment", plural: "deployments", namespaced: true },
  { apiVersion: "apps/v1", kind: "DaemonSet", plural: "daemonsets", namespaced: true },
  ...["policy/v1", "policy/v1beta1"].map((apiVersion) => ({
    apiVersion,
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    namespaced: true,
  })),
];

/** "Kind NAMESPACE/NAME" for people. */
export function describeManifest({ kind, metadata }: Manifest): string {
  const { namespace, name } = metadata;
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

/** The path of one object. */
export function manifestPath({ apiVersion, kind, metadata }: Manifest): string {
  const found = KINDS.find((item) => item.apiVersion === apiVersion && item.kind === kind);
  if (found === undefined) {
    throw new MeshError("internal", `Cannot place an object of kind ${apiVersion} ${kind}`);
  }
  const namespace = found.namespaced ? metadata.namespace : undefined;
  return `${collectionPath(found, namespace)}/${metadata.name}`;
}

/** The path of all objects of a kind: of one namespace, or of all if it is undefined. */
export function collectionPath(
  { apiVersion, plural }: Pick<Kind, "apiVersion" | "plural">,
  namespace: string | undefined,
): string {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined
    ? `${group}/${plural}`
    : `${group}/namespaces/${namespace}/${plural}`;
}

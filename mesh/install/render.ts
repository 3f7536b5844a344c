// An installation as objects: settings in, manifests out, in the order in which they are applied.
// Pure; the same settings always make the same objects.
import { createHash } from "node:crypto";
import {
  AGENT_NAME,
  APISERVER_NAME,
  CLUSTER_CONFIG_MAP,
  CLUSTER_KEY,
  ETCD_PORT,
  JOIN_PORT,
  LEAF_PORT,
  NAME_LABEL,
  NATS_PORT,
} from "../kubernetes/object-names.ts";
import {
  AGENT_RULES,
  APISERVER_CLUSTER_RULES,
  APISERVER_RULES,
  type AccessRule,
} from "./access-rules.ts";
import { agentDaemonSet } from "./agent-workload.ts";
import { apiserverDeployment } from "./apiserver-workload.ts";
import { agentFile, apiserverFile, clusterFile } from "./configuration.ts";
import {
  CONFIGURATION_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  NAMESPACE_LABEL,
  SETTINGS_ANNOTATION,
  VERSION_LABEL,
  type Manifest,
} from "./manifest.ts";
import { textsFromSettings, type InstallSettings } from "./settings.ts";

const RBAC = "rbac.authorization.k8s.io/v1";
/** Which version of PodDisruptionBudget; servers before 1.21 have the older one only. */
export type BudgetVersion = "policy/v1" | "policy/v1beta1";

/** What `mesh install` applies: the objects with what ties them to each other and to a version. */
export function renderInstallation(
  settings: InstallSettings,
  release: { readonly version: string; readonly budgetVersion: BudgetVersion },
): Manifest[] {
  const objects = [...renderObjects(settings), disruptionBudget(settings, release.budgetVersion)];
  const configuration = digest(objects.filter(({ kind }) => kind === "ConfigMap"));
  return objects.map((object) => {
    const marked = withMetadata(object, {
      labels: {
        [MANAGED_BY_LABEL]: MANAGED_BY,
        [VERSION_LABEL]: release.version,
        ...(object.metadata.namespace === undefined
          ? { [NAMESPACE_LABEL]: settings.namespace }
          : {}),
      },
      annotations:
        object.kind === "ConfigMap" && object.metadata.name === CLUSTER_CONFIG_MAP
          ? { [SETTINGS_ANNOTATION]: JSON.stringify(textsFromSettings(settings)) }
          : {},
    });
    return withPodAnnotation(marked, configuration);
  });
}

/** What stands under deploy/kubernetes: the objects alone. */
export function renderObjects(settings: InstallSettings): Manifest[] {
  const { namespace } = settings;
  const data = {
    [CLUSTER_KEY]: clusterFile(settings),
    "apiserver.json": apiserverFile(settings),
    "agent.json": agentFile(settings),
  };
  return [
    namespaceObject(namespace),
    serviceAccount(APISERVER_NAME, namespace),
    serviceAccount(AGENT_NAME, namespace),
    ...clusterAccess(namespace),
    ...access(APISERVER_NAME, { namespace, rules: APISERVER_RULES }),
    ...access(AGENT_NAME, { namespace, rules: AGENT_RULES }),
    configMap(CLUSTER_CONFIG_MAP, { namespace, data }),
    apiserverService(namespace),
    apiserverDeployment(settings),
    agentDaemonSet(settings),
  ];
}

/** Agents are on the host's network and see its directories, which the other levels forbid. */
function namespaceObject(namespace: string): Manifest {
  const labels = { "pod-security.kubernetes.io/enforce": "privileged" };
  return { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } };
}

/** Pods say themselves that they want the token. */
function serviceAccount(name: string, namespace: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name, namespace },
    automountServiceAccountToken: false,
  };
}

function clusterAccess(namespace: string): Manifest[] {
  return [
    {
      apiVersion: RBAC,
      kind: "ClusterRole",
      metadata: { name: APISERVER_NAME },
      rules: APISERVER_CLUSTER_RULES,
    },
    {
      apiVersion: RBAC,
      kind: "ClusterRoleBinding",
      metadata: { name: APISERVER_NAME },
      ...binding("ClusterRole", { name: APISERVER_NAME, namespace }),
    },
  ];
}

function access(
  name: string,
  { namespace, rules }: { namespace: string; rules: readonly AccessRule[] },
): Manifest[] {
  const metadata = { name, namespace };
  return [
    { apiVersion: RBAC, kind: "Role", metadata, rules },
    { apiVersion: RBAC, kind: "RoleBinding", metadata, ...binding("Role", metadata) },
  ];
}

function binding(kind: string, account: { name: string; namespace: string }): object {
  return {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: account.name },
    subjects: [{ kind: "ServiceAccount", ...account }],
  };
}

function configMap(
  name: string,
  { namespace, data }: { namespace: string; data: Readonly<Record<string, string>> },
): Manifest {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data };
}

/**
 * Headless: nobody calls it, agents follow its EndpointSlices. An apiserver that is not ready has
 * an etcd that agents read all the same; what they may believe of it, they see there.
 */
function apiserverService(namespace: string): Manifest {
  const port = (name: string, number: number): object => ({
    name,
    port: number,
    targetPort: number,
    protocol: "TCP",
  });
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: APISERVER_NAME, namespace, labels: { [NAME_LABEL]: APISERVER_NAME } },
    spec: {
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: { [NAME_LABEL]: APISERVER_NAME },
      ports: [
        port("etcd", ETCD_PORT),
        port("join", JOIN_PORT),
        port("nats", NATS_PORT),
        port("leaf", LEAF_PORT),
      ],
    },
  };
}

/**
 * Says that the apiserver may be moved at any time: nothing that forwards packets waits for it.
 * A budget that kept its only replica would make draining its node impossible.
 */
function disruptionBudget({ namespace }: InstallSettings, apiVersion: BudgetVersion): Manifest {
  return {
    apiVersion,
    kind: "PodDisruptionBudget",
    metadata: { name: APISERVER_NAME, namespace },
    spec: { maxUnavailable: 1, selector: { matchLabels: { [NAME_LABEL]: APISERVER_NAME } } },
  };
}

/** Programs read their configuration when they start: another one has to start them again. */
function withPodAnnotation(object: Manifest, configuration: string): Manifest {
  const spec = object["spec"] as PodTemplateHolder | undefined;
  if (spec?.template === undefined) return object;
  const before = spec.template.metadata.annotations;
  const annotations = { ...before, [CONFIGURATION_ANNOTATION]: configuration };
  const metadata = { ...spec.template.metadata, annotations };
  return { ...object, spec: { ...spec, template: { ...spec.template, metadata } } };
}

interface PodTemplateHolder {
  readonly template?: { readonly metadata: { readonly annotations?: object } };
}

function withMetadata(
  object: Manifest,
  more: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  },
): Manifest {
  const { metadata } = object;
  const labels = { ...metadata.labels, ...more.labels };
  const annotations = { ...metadata.annotations, ...more.annotations };
  return {
    ...object,
    metadata: {
      ...metadata,
      labels,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  };
}

function digest(objects: readonly Manifest[]): string {
  const data = JSON.stringify(objects.map((object) => object["data"]));
  return createHash("sha256").update(data).digest("hex").slice(0, 16);
}

// What has to be known of a cluster before anything is written to it.
import { malformed, readGroupVersions, readJson, refused } from "../kubernetes/api-calls.ts";
import { listObjects, readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import {
  readInstalled,
  readInstalledNamespace,
  type Installed,
  type LabelledObject,
} from "./installed.ts";
import { KINDS, MANAGED_BY, MANAGED_BY_LABEL } from "./manifest.ts";
import type { BudgetVersion } from "./render.ts";

export interface NodeFacts {
  readonly name: string;
  readonly podCidrs: readonly string[];
  readonly ready: boolean;
}

export interface ClusterFacts {
  readonly server: string;
  /** "v1.31.2" */
  readonly version: string;
  readonly minor: number;
  readonly budgetVersion: BudgetVersion;
  /** "create deployments.apps": what the caller would have to be allowed. */
  readonly denied: readonly string[];
  readonly namespace: "missing" | "ours" | "foreign" | "terminating";
  readonly installed: Installed | undefined;
  /** The namespace that the cluster's installation says it is in. */
  readonly installedNamespace: string | undefined;
  readonly nodes: readonly NodeFacts[];
}

interface NodeObject extends ApiObject {
  readonly spec?: { readonly podCIDR?: string; readonly podCIDRs?: readonly string[] };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Server-side apply is a PATCH that may create. */
const VERBS = ["get", "create", "patch"];

export async function readClusterFacts(
  transport: KubernetesTransport,
  namespace: string,
  signal: AbortSignal,
): Promise<ClusterFacts> {
  const version = await readVersion(transport, signal);
  const budgets = await readGroupVersions(transport, "policy", signal);
  const budgetVersion = budgets.includes("v1") ? "policy/v1" : "policy/v1beta1";
  return {
    server: transport.server,
    ...version,
    budgetVersion,
    denied: await readDenied(transport, { namespace, budgetVersion }, signal),
    namespace: await readNamespace(transport, namespace, signal),
    installed: await readInstalled(transport, namespace, signal),
    installedNamespace: await readInstalledNamespace(transport, signal),
    nodes: await readNodes(transport, signal),
  };
}

export async function readNodes(
  transport: KubernetesTransport,
  signal: AbortSignal,
): Promise<NodeFacts[]> {
  const nodes = await listObjects<NodeObject>(transport, "/api/v1/nodes", signal);
  return nodes.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    podCidrs: spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]),
    ready: (status?.conditions ?? []).some(
      (condition) => condition.type === "Ready" && condition.status === "True",
    ),
  }));
}

async function readVersion(
  transport: KubernetesTransport,
  signal: AbortSignal,
): Promise<{ version: string; minor: number }> {
  const response = await transport.send({ path: "/version" }, signal);
  const body = (await readJson(response)) as { gitVersion?: unknown; minor?: unknown } | undefined;
  if (response.status !== 200) throw refused("read /version", response.status, body);
  const { gitVersion, minor } = body ?? {};
  if (typeof gitVersion !== "string" || typeof minor !== "string") throw malformed("version");
  return { version: gitVersion, minor: Number.parseInt(minor, 10) };
}

async function readNamespace(
  transport: KubernetesTransport,
  name: string,
  signal: AbortSignal,
): Promise<ClusterFacts["namespace"]> {
  const path = `/api/v1/namespaces/${name}`;
  const namespace = await readObject<LabelledObject>(transport, path, signal);
  if (namespace === undefined) return "missing";
  if (namespace.metadata.deletionTimestamp !== undefined) return "terminating";
  return namespace.metadata.labels?.[MANAGED_BY_LABEL] === MANAGED_BY ? "ours" : "foreign";
}

/** Asks the API server itself, which knows every authorizer that the cluster has. */
async function readDenied(
  transport: KubernetesTransport,
  place: { readonly namespace: string; readonly budgetVersion: BudgetVersion },
  signal: AbortSignal,
): Promise<string[]> {
  const kinds = KINDS.filter(
    ({ kind, apiVersion }) => kind !== "PodDisruptionBudget" || apiVersion === place.budgetVersion,
  );
  const wanted = [
    ...kinds.flatMap(({ apiVersion, plural, namespaced }) =>
      VERBS.map((verb) => ({ verb, group: groupOf(apiVersion), resource: plural, namespaced })),
    ),
    { verb: "list", group: "", resource: "nodes", namespaced: false },
    { verb: "list", group: "", resource: "pods", namespaced: true },
  ];
  const answers = await Promise.all(
    wanted.map(async ({ verb, group, resource, namespaced }) => {
      const attributes = {
        verb,
        group,
        resource,
        ...(namespaced ? { namespace: place.namespace } : {}),
      };
      const isAllowed = await mayI(transport, attributes, signal);
      return isAllowed ? [] : [`${verb} ${resource}${group === "" ? "" : `.${group}`}`];
    }),
  );
  return answers.flat();
}

async function mayI(
  transport: KubernetesTransport,
  resourceAttributes: object,
  signal: AbortSignal,
): Promise<boolean> {
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes },
  };
  const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  const response = await transport.send({ method: "POST", path, body }, signal);
  const answer = (await readJson(response)) as { status?: { allowed?: unknown } } | undefined;
  if (response.status >= 300) throw refused("ask for permissions", response.status, answer);
  return answer?.status?.allowed === true;
}

function groupOf(apiVersion: string): string {
  const [group = "", version] = apiVersion.split("/");
  return version === undefined ? "" : group;
}

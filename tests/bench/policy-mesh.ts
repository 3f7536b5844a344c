// A mesh to measure policy with: identities of many clusters that share applications, policies
// that speak of applications of the own cluster and of all, and pods that these are about.
import type { Policy, PolicyPeer, TrafficRule } from "../../mesh/core/policy.ts";
import { createSelector, type LabelSelector, type Requirement } from "../../mesh/core/selector.ts";

export const POLICY_MESH = { clusters: 10, applications: 500, policies: 500, endpoints: 100 };

const CLUSTER = "k8s:io.cilium.k8s.policy.cluster";
const NAMESPACE = "k8s:io.kubernetes.pod.namespace";
/** Applications a namespace. */
const TOGETHER = 10;
/** Identities of a cluster begin here; cluster 1 is the own one. */
const firstOf = (cluster: number): number => cluster << 16;

interface LabelledIdentity {
  readonly number: number;
  readonly labels: readonly string[];
}

/** The first `clusters` have the first application, and so on; later ones are other versions. */
export function identityOf(i: number): LabelledIdentity {
  const { clusters, applications } = POLICY_MESH;
  const inCluster = Math.floor(i / clusters);
  return labelled({
    cluster: 1 + (i % clusters),
    index: inCluster,
    application: inCluster % applications,
  });
}

/** Of an application that is there, in another cluster each time; its number is new. */
export function joinerOf(i: number): LabelledIdentity {
  const { clusters, applications } = POLICY_MESH;
  return labelled({
    cluster: 2 + (i % (clusters - 1)),
    index: 60_000,
    application: i % applications,
  });
}

function labelled(of: {
  readonly cluster: number;
  readonly index: number;
  readonly application: number;
}): LabelledIdentity {
  const namespace = `ns-${Math.floor(of.application / TOGETHER)}`;
  return {
    number: firstOf(of.cluster) + of.index,
    labels: [
      `k8s:app=app-${of.application}`,
      `k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=${namespace}`,
      `k8s:io.cilium.k8s.namespace.labels.team=team-${of.application % 20}`,
      `${CLUSTER}=c${of.cluster}`,
      "k8s:io.cilium.k8s.policy.serviceaccount=default",
      `${NAMESPACE}=${namespace}`,
      `k8s:tier=${of.application % 2 === 0 ? "front" : "back"}`,
      `k8s:version=v${of.index}`,
    ],
  };
}

/** About one application: from two others of every cluster and one of its own, to a CIDR. */
export function makePolicy(i: number): Policy {
  const pods = (application: number, ...more: Requirement[]): PolicyPeer => ({
    kind: "pods",
    selector: selectorOf(application, more),
  });
  const anyCluster: Requirement = { key: CLUSTER, operator: "Exists", values: [] };
  const own: Requirement = { key: CLUSTER, operator: "In", values: ["c1"] };
  const tcp = (port: number): { protocol: "TCP"; first: number; last: number } => ({
    protocol: "TCP",
    first: port,
    last: port,
  });
  const ingress: TrafficRule[] = [
    {
      path: "spec.ingress[0]",
      verdict: "allow",
      peers: [pods(i + 1, anyCluster), pods(i + 7, anyCluster), pods(i + 3, own)],
      ports: [tcp(80), tcp(443)],
    },
  ];
  const egress: TrafficRule[] = [
    {
      path: "spec.egress[0]",
      verdict: "allow",
      peers: [
        pods(i + 2, anyCluster),
        { kind: "cidr", cidr: `10.${i % 250}.0.0/16`, except: [`10.${i % 250}.7.0/24`] },
      ],
      ports: undefined,
    },
  ];
  return {
    kind: "CiliumNetworkPolicy",
    namespace: `ns-${Math.floor((i % POLICY_MESH.applications) / TOGETHER)}`,
    name: `policy-${i}`,
    refusals: [],
    rules: [
      {
        path: "spec",
        // Five policies are about each of the first hundred applications: the pods of the node.
        subject: selectorOf(i % POLICY_MESH.endpoints, [own]),
        defaultDeny: { ingress: true, egress: true },
        ingress,
        egress,
      },
    ],
  };
}

function selectorOf(application: number, more: readonly Requirement[]): LabelSelector {
  const wanted = application % POLICY_MESH.applications;
  const namespace = `ns-${Math.floor(wanted / TOGETHER)}`;
  return createSelector([
    { key: "k8s:app", operator: "In", values: [`app-${wanted}`] },
    { key: NAMESPACE, operator: "In", values: [namespace] },
    ...more,
  ]);
}

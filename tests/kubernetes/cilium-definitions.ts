// The least that makes an API server serve Cilium's two kinds of policies.
import { eventually } from "../fakes/eventually.ts";
import type { TestKubernetes } from "../fakes/kubernetes.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const KINDS = [
  { kind: "CiliumNetworkPolicy", plural: "ciliumnetworkpolicies", scope: "Namespaced" },
  {
    kind: "CiliumClusterwideNetworkPolicy",
    plural: "ciliumclusterwidenetworkpolicies",
    scope: "Cluster",
  },
] as const;

/** All kinds of policies and what the API server calls them. */
export const POLICY_KINDS = [
  { kind: "NetworkPolicy", resource: "networkpolicies.networking.k8s.io" },
  ...KINDS.map(({ kind, plural }) => ({ kind, resource: `${plural}.cilium.io` })),
];

/** Resolves when the API server serves both. */
export async function installCiliumPolicies(kubernetes: TestKubernetes): Promise<void> {
  for (const { kind, plural, scope } of KINDS) {
    const body = definitionOf(kind, { plural, scope });
    await kubernetes.call({ method: "POST", path: DEFINITIONS, body });
  }
  for (const { plural } of KINDS) {
    await eventually(async () => {
      const path = `/apis/cilium.io/v2/${plural}`;
      const list = await kubernetes.call<{ kind: string }>({ path, allow: [404] });
      return list.kind !== "Status";
    });
  }
}

/** With it go all objects of the kind. */
export function removeDefinition(kubernetes: TestKubernetes, name: string): Promise<unknown> {
  return kubernetes.call({ method: "DELETE", path: `${DEFINITIONS}/${name}`, allow: [404] });
}

function definitionOf(kind: string, names: { plural: string; scope: string }): object {
  const { plural, scope } = names;
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const specs = { type: "array", items: open };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.cilium.io` },
    spec: {
      group: "cilium.io",
      names: { kind, plural },
      scope,
      versions: [
        {
          name: "v2",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: "object", properties: { spec: open, specs } },
          },
        },
      ],
    },
  };
}

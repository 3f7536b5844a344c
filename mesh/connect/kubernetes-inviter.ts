// What an invitation says of a Kubernetes cluster: its authority, and where its join API answers.
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import type { Inviter } from "./invite.ts";
import { findApiserverNode } from "./kubernetes-apiserver.ts";
import { createClusterObjects } from "./kubernetes-cluster.ts";
import { joinEndpointsOfNodes, type NodeObject } from "./kubernetes-profile.ts";

/**
 * The apiserver may move while an invitation is open, so all nodes' endpoints go into it: first
 * that of the node where the apiserver is now, because an invitation holds a few only.
 */
export async function readKubernetesInviter(
  cluster: { readonly transport: KubernetesTransport; readonly namespace: string },
  signal: AbortSignal,
): Promise<Inviter> {
  const objects = createClusterObjects(cluster);
  const { profile, settings, nodes } = await objects.readProfile(signal);
  const { authority } = await objects.readAuthority(signal);
  const joinEndpoints =
    settings.joinEndpoint === undefined
      ? joinEndpointsFrom(nodes, await findApiserverNode(cluster, signal))
      : [settings.joinEndpoint];
  return { cluster: profile, joinEndpoints, authority: authority.certificate };
}

function joinEndpointsFrom(nodes: readonly NodeObject[], first: string | undefined): string[] {
  const preferred = nodes.filter(({ metadata }) => metadata.name === first);
  return [...new Set([...joinEndpointsOfNodes(preferred), ...joinEndpointsOfNodes(nodes)])];
}

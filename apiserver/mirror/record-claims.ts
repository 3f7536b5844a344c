// Which addresses a record speaks for. Pure. Frontends of services are not among them: they are
// ClusterIPs, which mean something in their own cluster only and may repeat.
import type { EndpointAddress, MeshNode } from "../../mesh/core/node.ts";
import type { ClusterService } from "../../mesh/core/service.ts";
import type { NodeObject, ServiceObject } from "../source/objects.ts";

/** Without external addresses: clusters behind one NAT share them, and nothing tunnels to them. */
export function claimsOfNode(node: MeshNode): string[] {
  const addresses = node.addresses.filter(
    ({ type }) => type === "InternalIP" || type === "CiliumInternalIP",
  );
  return [...node.podPrefixes, ...addresses.map(({ ip }) => ip)];
}

export function claimsOfEndpoint(endpoint: EndpointAddress): string[] {
  return endpoint.hostIp === "" ? [endpoint.prefix] : [endpoint.prefix, endpoint.hostIp];
}

export function claimsOfService(service: ClusterService): string[] {
  return [...new Set([...service.backends.keys(), ...(service.leaving?.keys() ?? [])])];
}

export function claimsOfOwnNode(node: NodeObject): string[] {
  const addresses = node.addresses.filter(({ type }) => type === "InternalIP");
  return [...node.podPrefixes, ...addresses.map(({ ip }) => ip)];
}

/** Our ClusterIPs: a peer's pod with such an address would be unreachable or, worse, reachable. */
export function claimsOfOwnService(service: ServiceObject): string[] {
  return [...service.clusterIps];
}

// Whose identity a pod of this node has, and which of its ports have names. Pure.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { EndpointAddress } from "../../mesh/core/node.ts";
import type { Table } from "../../mesh/core/table.ts";
import type { LocalPod } from "../../mesh/kvstore/records/pod.ts";
import type { LocalEndpoint } from "../endpoints/local-endpoints.ts";
import type { NamedPort } from "../policy/engine.ts";

/** What our own cluster says of its pods. */
export interface KnownPods {
  /** By `namespace/name`: those that are bound to this node. */
  readonly pods: Pick<Table<LocalPod>, "get">;
  /** By address. */
  readonly endpoints: Pick<Table<EndpointAddress>, "get">;
}

/**
 * By the pod's name, which is known before it has an address; by its address where the runtime
 * does not tell names, or while the name is not there yet. Undefined: nobody has told.
 */
export function identifyEndpoint(
  { pod, addresses }: Pick<LocalEndpoint, "pod" | "addresses">,
  known: KnownPods,
): { readonly identity: IdentityNumber; readonly namedPorts: readonly NamedPort[] } | undefined {
  const named = known.pods.get(pod);
  if (named !== undefined) {
    return { identity: named.identity, namedPorts: namedPortsOf(named.namedPorts) };
  }
  for (const address of addresses) {
    const record = known.endpoints.get(address);
    // An address that was another pod's a moment ago still has that pod's record.
    if (record === undefined || (pod !== "" && !podAtAddress(record).includes(pod))) continue;
    return { identity: record.identity, namedPorts: namedPortsOf(record.namedPorts) };
  }
  return undefined;
}

/** `namespace/name` of the pod that has the address; none if the record does not say. */
export function podAtAddress(record: EndpointAddress | undefined): readonly string[] {
  if (record === undefined || record.podName === "") return [];
  return [`${record.namespace}/${record.podName}`];
}

/** Those whose protocol policies can name; a peer may have written any text. */
export function namedPortsOf(
  ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[],
): NamedPort[] {
  return ports.flatMap(({ name, port, protocol }) =>
    protocol === "TCP" || protocol === "UDP" || protocol === "SCTP"
      ? [{ name, port, protocol }]
      : [],
  );
}

// EndpointSlices of the Service `tombolo-apiserver` → where the cluster's etcd is. Pure.
import { ETCD_PORT } from "../../mesh/kubernetes/object-names.ts";
import type { ApiObject } from "../../mesh/kubernetes/watch-state.ts";

export interface EndpointSlice extends ApiObject {
  readonly addressType?: string;
  readonly endpoints?:
    | readonly {
        readonly addresses?: readonly string[];
        readonly conditions?: { readonly ready?: boolean; readonly terminating?: boolean };
      }[]
    | null;
}

/**
 * `https://ADDRESS:PORT`, sorted. Those that are ready, or, when none is, all: etcd answers before
 * its apiserver counts as ready, and an endpoint that does not answer is passed over.
 */
export function etcdEndpointsFromSlices(slices: Iterable<EndpointSlice>): string[] {
  const all = [...slices].flatMap(({ addressType, endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses, conditions }) =>
      (addresses ?? []).map((address) => ({
        url: endpointUrl(address, addressType),
        ready: conditions?.ready !== false && conditions?.terminating !== true,
      })),
    ),
  );
  const ready = all.filter((endpoint) => endpoint.ready);
  const chosen = ready.length > 0 ? ready : all;
  return [...new Set(chosen.flatMap(({ url }) => url ?? []))].sort();
}

/** Undefined for an address of a type that we do not know: a name ("FQDN"), for one. */
function endpointUrl(address: string, addressType: string | undefined): string | undefined {
  if (addressType === "IPv4") return `https://${address}:${ETCD_PORT}`;
  if (addressType === "IPv6") return `https://[${address}]:${ETCD_PORT}`;
  return undefined;
}

// Writes services into the maps the way that DESIGN.md asks for, for tests that need some. Not a
// planner: groups and weights are the test's.
import { parseAddress } from "../../mesh/core/address.ts";
import { mapAddressFromAddress } from "../../bpf/address.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import {
  BackendState,
  ClusterDrill,
  ClusterHealth,
  IpProtocol,
  type ClusterState,
} from "../../bpf/gen/layout.ts";

export interface TestBackend {
  readonly host: string;
  readonly port: number;
  readonly down?: boolean;
}

export interface TestGroup {
  readonly clusterId: number;
  readonly tier?: number;
  readonly weight?: number;
  readonly backends: readonly TestBackend[];
}

export interface TestService {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly protocol: keyof typeof IpProtocol;
  readonly affinitySeconds?: number;
  readonly groups: readonly TestGroup[];
}

export const HEALTHY_CLUSTER: ClusterState = {
  drillExpiresNs: 0n,
  drainExpiresNs: 0n,
  healthIpv4: ClusterHealth.healthy,
  healthIpv6: ClusterHealth.healthy,
  heldBackPercentIpv4: 0,
  heldBackPercentIpv6: 0,
  drainedPercent: 0,
  drill: ClusterDrill.none,
};

/** A backend's id follows from its address, so that services may share it. */
export function backendIdOf({ port }: TestBackend, protocol: keyof typeof IpProtocol): number {
  return port * 256 + IpProtocol[protocol];
}

/** Backends, slots, groups, service: a reader never sees a row before what it points to. */
export function putService(maps: DatapathMaps, service: TestService): void {
  const { id, protocol } = service;
  for (const { clusterId, backends } of service.groups) {
    for (const [slot, backend] of backends.entries()) {
      const backendId = backendIdOf(backend, protocol);
      maps.backends.put(
        { backendId },
        {
          address: mapAddressFromAddress(parseAddress(backend.host)),
          port: backend.port,
          protocol: IpProtocol[protocol],
          state: backend.down === true ? BackendState.down : BackendState.active,
          clusterId,
        },
      );
      maps.backendSlots.put({ serviceId: id, clusterId, slot }, { backendId });
    }
  }
  for (const [index, { clusterId, tier = 0, weight, backends }] of service.groups.entries())
    maps.groups.put(
      { serviceId: id, index },
      { clusterId, tier, weight: weight ?? backends.length, backendCount: backends.length },
    );
  maps.services.put(serviceKeyOf(service), {
    serviceId: id,
    groupCount: service.groups.length,
    affinityTimeoutSeconds: service.affinitySeconds ?? 0,
  });
}

export function serviceKeyOf({ host, port, protocol }: TestService): {
  address: Uint8Array;
  port: number;
  protocol: IpProtocol;
} {
  const address = mapAddressFromAddress(parseAddress(host));
  return { address, port, protocol: IpProtocol[protocol] };
}

// The datapath's maps as the operations of this folder use them: codecs' shapes to plain values
// and back, nothing more.
import {
  addressFromMapAddress,
  ipcacheKeyFromText,
  isNoAddress,
  mapAddressFromText,
  prefixFromIpcacheKey,
} from "../../bpf/address.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { BackendState, IpProtocol, type IpcacheKey } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { IpcacheTarget } from "./ipcache-operations.ts";
import type { IpcacheRow } from "../plan/plan-ipcache.ts";
import type { TransportProtocol } from "../plan/plan-service.ts";
import type { BackendValue, ServiceMaps, TargetMap } from "./service-maps.ts";

export type ServiceMapSources = Pick<
  DatapathMaps,
  "services" | "groups" | "backendSlots" | "backends" | "affinity"
>;

/** A backend that is `isDown` when its row is written is marked so from the start. */
export function serviceMapsFromDatapath(
  maps: ServiceMapSources,
  isDown: (backend: BackendValue) => boolean = () => false,
): ServiceMaps {
  return {
    services: adapt(maps.services, {
      encodeKey: ({ address, port, protocol }) => ({
        address: mapAddressFromText(address),
        port,
        protocol: protocolNumber(protocol),
      }),
      decodeKey: ({ address, port, protocol }) => ({
        address: addressFromMapAddress(address).text,
        port,
        protocol: protocolName(protocol),
      }),
      encodeValue: ({ serviceId, groupCount, affinitySeconds }) => ({
        serviceId,
        groupCount,
        affinityTimeoutSeconds: affinitySeconds,
      }),
      decodeValue: ({ serviceId, groupCount, affinityTimeoutSeconds }) => ({
        serviceId,
        groupCount,
        affinitySeconds: affinityTimeoutSeconds,
      }),
    }),
    groups: adapt(maps.groups, {
      encodeKey: same,
      decodeKey: same,
      encodeValue: same,
      decodeValue: same,
    }),
    slots: adapt(maps.backendSlots, {
      encodeKey: same,
      decodeKey: same,
      encodeValue: (backendId: number) => ({ backendId }),
      decodeValue: ({ backendId }) => backendId,
    }),
    backends: adapt(maps.backends, {
      encodeKey: (backendId: number) => ({ backendId }),
      decodeKey: ({ backendId }) => backendId,
      encodeValue: (backend: BackendValue) => ({
        clusterId: backend.clusterId,
        address: mapAddressFromText(backend.address),
        port: backend.port,
        protocol: protocolNumber(backend.protocol),
        state: isDown(backend) ? BackendState.down : BackendState.active,
      }),
      decodeValue: ({ clusterId, address, port, protocol }) => ({
        clusterId,
        address: addressFromMapAddress(address).text,
        port,
        protocol: protocolName(protocol),
      }),
    }),
    *remembered() {
      for (const [{ serviceId }, { backendId }] of maps.affinity.entries())
        yield { serviceId, backendId };
    },
  };
}

export function ipcacheMapFromDatapath(map: DatapathMaps["ipcache"]): IpcacheTarget {
  // One memory for the addresses of all rows: each row is encoded before the next one's are read.
  const keyAddress = new Uint8Array(16);
  const tunnelAddress = new Uint8Array(16);
  const noAddress = new Uint8Array(16);
  const toKey = (prefix: string): IpcacheKey => ipcacheKeyFromText(prefix, keyAddress);
  const conversion = {
    toKey: (row: IpcacheRow) => toKey(row.prefix),
    toValue: ({ identity, tunnelEndpoint, clusterId, encryptionKey }: IpcacheRow) => ({
      identity,
      tunnelEndpoint:
        tunnelEndpoint === "" ? noAddress : mapAddressFromText(tunnelEndpoint, tunnelAddress),
      clusterId,
      encryptionKey,
    }),
  };
  return {
    name: map.name,
    maxEntries: map.maxEntries,
    putAll: (rows) => map.putRows(rows, conversion),
    deleteAll: (prefixes) => map.deleteBatch(mapEach(prefixes, toKey)),
    *entries() {
      for (const [key, { identity, tunnelEndpoint, clusterId, encryptionKey }] of map.entries()) {
        const prefix = prefixFromIpcacheKey(key).text;
        const tunnel = isNoAddress(tunnelEndpoint)
          ? ""
          : addressFromMapAddress(tunnelEndpoint).text;
        yield { prefix, identity, tunnelEndpoint: tunnel, clusterId, encryptionKey };
      }
    },
  };
}

interface Conversion<K, V, MapKey, MapValue> {
  readonly encodeKey: (key: K) => MapKey;
  readonly decodeKey: (key: MapKey) => K;
  readonly encodeValue: (value: V) => MapValue;
  readonly decodeValue: (value: MapValue) => V;
}

function adapt<K, V, MapKey, MapValue>(
  map: BpfMap<MapKey, MapValue>,
  conversion: Conversion<K, V, MapKey, MapValue>,
): TargetMap<K, V> {
  const { encodeKey, decodeKey, encodeValue, decodeValue } = conversion;
  return {
    name: map.name,
    maxEntries: map.maxEntries,
    putAll(rows) {
      const [only] = rows;
      if (only === undefined) return;
      if (rows.length === 1) map.put(encodeKey(only[0]), encodeValue(only[1]));
      else map.putBatch(encodeRows(rows));
    },
    deleteAll(keys) {
      const [only] = keys;
      if (only === undefined) return;
      if (keys.length === 1) map.delete(encodeKey(only));
      else map.deleteBatch(keys.map((key) => encodeKey(key)));
    },
    *entries() {
      for (const [key, value] of map.entries()) yield [decodeKey(key), decodeValue(value)];
    },
  };

  function* encodeRows(rows: readonly (readonly [K, V])[]): Iterable<readonly [MapKey, MapValue]> {
    for (const [key, value] of rows) yield [encodeKey(key), encodeValue(value)];
  }
}

function* mapEach<T, R>(items: Iterable<T>, map: (item: T) => R): Iterable<R> {
  for (const item of items) yield map(item);
}

function same<T>(value: T): T {
  return value;
}

function protocolNumber(protocol: TransportProtocol): IpProtocol {
  return protocol === "TCP" ? IpProtocol.tcp : IpProtocol.udp;
}

function protocolName(protocol: IpProtocol): TransportProtocol {
  return protocol === IpProtocol.udp ? "UDP" : "TCP";
}

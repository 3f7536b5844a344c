// What the datapath holds, as one digest a map: equal before and after a drill means that nothing
// was left behind. Rows are told by what they mean, not by the numbers that they were given: a
// service or backend that went and came back is the same. What changes by itself (counters, flows,
// sessions, probes) is left out.
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { SnapshotAnswer } from "../../mesh/operations/questions.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import {
  backendCodec,
  clusterStateCodec,
  endpointCodec,
  endpointKeyCodec,
  ipcacheEntryCodec,
  ipcacheKeyCodec,
  serviceKeyCodec,
  ClusterDrill,
} from "../../bpf/gen/layout.ts";
import { createMemory, type Codec } from "../../bpf/codec.ts";
import type { IpCommand } from "../apply/ip-command.ts";
import { ROUTE_PROTOCOL } from "../apply/route-operations.ts";

export interface SnapshotParts {
  readonly maps: Pick<
    DatapathMaps,
    "services" | "groups" | "backendSlots" | "backends" | "clusterState" | "ipcache" | "endpoints"
  >;
  readonly ip: IpCommand;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
}

/** So many rows at a time, a few milliseconds: who probes every 100 ms must not notice. */
const ROWS_AT_ONCE = 2_000;
/** Sorting is done in parts for the same reason. */
const PARTS = 256;

export async function takeSnapshot(
  parts: SnapshotParts,
  signal: AbortSignal,
): Promise<SnapshotAnswer> {
  const { maps, ip } = parts;
  const services = new Map<number, string>();
  const backends = new Map<number, string>();
  const digests: Record<string, string> = {};
  const rows: Record<string, number> = {};
  const digest = async (name: string, texts: Iterable<string>): Promise<void> => {
    const result = await digestRows(texts);
    digests[name] = result.digest;
    rows[name] = result.rows;
  };

  await digest("services", serviceRows(maps, services));
  await digest("backends", backendRows(maps, backends));
  await digest("groups", groupRows(maps, services));
  await digest("backend_slots", slotRows(maps, { services, backends }));
  await digest("cluster_state", clusterRows(maps, parts.kernelNowNs()));
  await digest("ipcache", plainRows(maps.ipcache.entries(), ipcacheKeyCodec, ipcacheEntryCodec));
  await digest("endpoints", plainRows(maps.endpoints.entries(), endpointKeyCodec, endpointCodec));
  for (const family of ["-4", "-6"]) {
    const found = await ip.query([family, "route", "show", "proto", ROUTE_PROTOCOL], signal);
    await digest(`routes${family}`, found.map(routeRow));
  }
  return { digests, rows };
}

/** The digest of a set of rows, in whatever order they come. */
export async function digestRows(
  texts: Iterable<string>,
): Promise<{ readonly digest: string; readonly rows: number }> {
  const sorted: string[][] = Array.from({ length: PARTS }, () => []);
  let rows = 0;
  for (const text of texts) {
    sorted[partOf(text)]?.push(text);
    if (++rows % ROWS_AT_ONCE === 0) await setImmediate();
  }
  const hash = createHash("sha256");
  let since = 0;
  for (const part of sorted) {
    part.sort();
    for (const text of part) hash.update(`${text.length}:`).update(text, "latin1");
    since += part.length;
    if (since < ROWS_AT_ONCE) continue;
    since = 0;
    await setImmediate();
  }
  return { digest: hash.digest("hex"), rows };
}

/** Any spread that depends on nothing but the text. */
function partOf(text: string): number {
  let sum = text.length;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) | 0;
  return (sum >>> 0) % PARTS;
}

type Maps = SnapshotParts["maps"];

function* serviceRows(maps: Maps, names: Map<number, string>): Iterable<string> {
  const encode = encoder(serviceKeyCodec);
  for (const [key, service] of maps.services.entries()) {
    const name = encode(key);
    names.set(service.serviceId, name);
    yield `${name} ${service.groupCount} ${service.affinityTimeoutSeconds}`;
  }
}

function* backendRows(maps: Maps, names: Map<number, string>): Iterable<string> {
  const encode = encoder(backendCodec);
  for (const [{ backendId }, backend] of maps.backends.entries()) {
    const name = encode(backend);
    names.set(backendId, name);
    yield name;
  }
}

function* groupRows(maps: Maps, services: ReadonlyMap<number, string>): Iterable<string> {
  for (const [{ serviceId, index }, group] of maps.groups.entries()) {
    const { clusterId, tier, weight, backendCount } = group;
    yield `${services.get(serviceId)} ${index} ${clusterId} ${tier} ${weight} ${backendCount}`;
  }
}

/** Which slot a backend has matters to nobody. */
function* slotRows(
  maps: Maps,
  names: { services: ReadonlyMap<number, string>; backends: ReadonlyMap<number, string> },
): Iterable<string> {
  for (const [{ serviceId, clusterId }, { backendId }] of maps.backendSlots.entries()) {
    yield `${names.services.get(serviceId)} ${clusterId} ${names.backends.get(backendId)}`;
  }
}

/** Without what has expired: the kernel takes no notice of it either. */
function* clusterRows(maps: Maps, nowNs: bigint): Iterable<string> {
  const encode = encoder(clusterStateCodec);
  for (const [cluster, state] of maps.clusterState.entries()) {
    const drilled = state.drill !== ClusterDrill.none && state.drillExpiresNs > nowNs;
    const drained = state.drainExpiresNs === 0n || state.drainExpiresNs > nowNs;
    yield `${cluster} ${encode({
      ...state,
      ...(drilled ? {} : { drill: ClusterDrill.none, drillExpiresNs: 0n }),
      ...(drained ? {} : { drainedPercent: 0, drainExpiresNs: 0n }),
    })}`;
  }
}

function* plainRows<K, V>(
  entries: Iterable<readonly [K, V]>,
  key: Codec<K>,
  value: Codec<V>,
): Iterable<string> {
  const encodeKey = encoder(key);
  const encodeValue = encoder(value);
  for (const row of entries) yield `${encodeKey(row[0])} ${encodeValue(row[1])}`;
}

/** The fields of a route as `ip` tells them, in an order of ours. */
function routeRow(route: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(route).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A value's bytes as text, a character a byte. */
function encoder<T>(codec: Codec<T>): (value: T) => string {
  const memory = createMemory(codec.size);
  const bytes = Buffer.from(memory.bytes.buffer, memory.bytes.byteOffset, codec.size);
  return (value) => {
    codec.encode(value, memory, 0);
    return bytes.toString("latin1");
  };
}

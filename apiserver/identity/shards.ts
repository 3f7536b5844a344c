// The allocator's state cut into shards, each a record of texts that fits into a small object, and
// put together again from what is found of them. Pure. Whoever reads a shard may have been given
// anything, so what cannot be believed is left out, named, and its number rests.
//
//   65536            k8s:app=cart;k8s:io.cilium.k8s.policy.cluster=east;   as it stands in etcd
//   retired-65537    2026-01-02T03:04:05.678Z                              since when it rests
//   next             65538                                                 where to go on
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { identityRange, type IdentityNumber } from "../../mesh/core/identity.ts";
import { encodeIdentity, parseIdentity } from "../../mesh/kvstore/records/identity.ts";
import type { AllocatorState } from "./allocator.ts";

export type ShardData = Readonly<Record<string, string>>;

export interface Shard {
  readonly index: number;
  readonly data: ShardData;
}

export interface ShardFault {
  readonly index: number;
  readonly message: string;
}

/** 64 shards in a mesh of 255 clusters; with common labels a full one has some 300 KiB. */
export const SHARD_IDENTITIES = 1_024;
/** Kubernetes refuses objects beyond 1 MiB; keys, metadata and JSON's quotes come on top. */
export const MAX_SHARD_BYTES = 768 * 1_024;
/**
 * Numbers that may have been given out and written nowhere when a node died: beyond anything that
 * is allocated while one write waits. Skipping them costs nothing, since allocation goes round.
 */
export const NEXT_MARGIN = 1_024;
const NEXT_KEY = "next";
const RETIRED_PREFIX = "retired-";

export function shardCount(cluster: ClusterIdentity): number {
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  return Math.ceil((last - first + 1) / SHARD_IDENTITIES);
}

/** Numbers outside the cluster's range are in no shard: the result is none that exists. */
export function shardIndex(number: IdentityNumber, cluster: ClusterIdentity): number {
  const { first } = identityRange(cluster.id, cluster.maxConnectedClusters);
  return Math.floor((number - first) / SHARD_IDENTITIES);
}

/** Without anything in it for a shard whose numbers were all given back. */
export function shardFromState(
  state: AllocatorState,
  { index, cluster }: { readonly index: number; readonly cluster: ClusterIdentity },
): ShardData {
  const isHere = (number: IdentityNumber): boolean => shardIndex(number, cluster) === index;
  const data: Record<string, string> = {};
  let bytes = 0;
  for (const { number, labels } of state.identities) {
    if (!isHere(number)) continue;
    const text = encodeIdentity(labels).toString();
    const size = Buffer.byteLength(text);
    // Without its labels a number still cannot be taken for others.
    const fits = bytes + size <= MAX_SHARD_BYTES;
    data[String(number)] = fits ? text : "";
    if (fits) bytes += size;
  }
  for (const { number, atMs } of state.retired) {
    if (isHere(number)) data[`${RETIRED_PREFIX}${number}`] = new Date(atMs).toISOString();
  }
  // The shard of the number that was given out last, so that an allocation changes one shard.
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  const latest = state.next === first ? last : state.next - 1;
  const isNew = state.identities.length === 0 && state.retired.length === 0;
  if (isHere(latest) && !isNew) data[NEXT_KEY] = String(state.next);
  return data;
}

/** Shards may come in any order; the lower one wins where two disagree. */
export function stateFromShards(
  shards: readonly Shard[],
  { cluster, nowMs }: { readonly cluster: ClusterIdentity; readonly nowMs: number },
): { readonly state: AllocatorState; readonly faults: readonly ShardFault[] } {
  const range = identityRange(cluster.id, cluster.maxConnectedClusters);
  const identities = new Map<IdentityNumber, readonly string[]>();
  const retired = new Map<IdentityNumber, number>();
  const numbersByLabels = new Map<string, IdentityNumber>();
  const faults: ShardFault[] = [];
  const doubtful: IdentityNumber[] = [];
  let next: IdentityNumber | undefined;

  const readIdentity = (index: number, key: string, text: string): void => {
    const number = checkPlace(key, index);
    try {
      const { labels } = parseIdentity(key, Buffer.from(text), cluster);
      const all = labels.join(";");
      const other = numbersByLabels.get(all);
      if (other !== undefined) throw new Error(`its labels are those of ${other}`);
      numbersByLabels.set(all, number);
      identities.set(number, labels);
    } catch (error) {
      doubtful.push(number);
      throw error;
    }
  };
  const readRetired = (index: number, key: string, text: string): void => {
    const number = checkPlace(key.slice(RETIRED_PREFIX.length), index);
    const atMs = Date.parse(text);
    // A clock that went back must not let it rest for longer.
    retired.set(number, Number.isNaN(atMs) ? nowMs : Math.min(atMs, nowMs));
    if (Number.isNaN(atMs) || atMs < 0) throw new Error("want a time, as 2026-01-02T03:04:05Z");
  };
  const readNext = (text: string): void => {
    const number = numberFromText(text);
    if (number < range.first || number > range.last) throw new Error(wantNumber());
    next = Math.max(next ?? 0, number);
  };
  const wantNumber = (): string =>
    `want a number from ${range.first} to ${range.last} (cluster ${cluster.id})`;
  function checkPlace(text: string, index: number): IdentityNumber {
    const number = numberFromText(text);
    if (number < range.first || number > range.last) throw new Error(wantNumber());
    const place = shardIndex(number, cluster);
    if (place === index) return number;
    doubtful.push(number);
    throw new Error(`it belongs into shard ${place}`);
  }

  for (const { index, data } of [...shards].sort((a, b) => a.index - b.index)) {
    for (const [key, text] of Object.entries(data)) {
      try {
        if (key === NEXT_KEY) readNext(text);
        else if (key.startsWith(RETIRED_PREFIX)) readRetired(index, key, text);
        else readIdentity(index, key, text);
      } catch (error) {
        faults.push({ index, message: `Cannot use "${key}": ${messageFromError(error)}` });
      }
    }
  }
  for (const number of doubtful) if (!retired.has(number)) retired.set(number, nowMs);
  for (const number of identities.keys()) retired.delete(number);
  const highest = [...identities.keys(), ...retired.keys()].reduce((a, b) => Math.max(a, b), 0);
  const last = next ?? (highest === 0 ? undefined : highest + 1);
  return {
    state: {
      next: last === undefined ? 0 : wrap(last + NEXT_MARGIN, range),
      identities: [...identities].map(([number, labels]) => ({ number, labels })),
      retired: [...retired].map(([number, atMs]) => ({ number, atMs })),
    },
    faults,
  };
}

function numberFromText(text: string): IdentityNumber {
  return /^[1-9]\d{0,7}$/.test(text) ? Number(text) : -1;
}

function wrap(
  number: IdentityNumber,
  { first, last }: { readonly first: number; readonly last: number },
): IdentityNumber {
  return number > last ? first + ((number - first) % (last - first + 1)) : number;
}

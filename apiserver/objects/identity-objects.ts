// The allocator's state in ConfigMaps `tombolo-identities-N`, because a pod that moves has nothing
// else: read once at start, and kept equal to the allocator from then on. What a shard looks like
// is identity/shards.ts's. Only we write these objects; what others do to them is set right.
import { createHash } from "node:crypto";
import type { ConfigMap } from "../../mesh/connect/kubernetes-objects.ts";
import { createBackoff } from "../../mesh/core/backoff.ts";
import { withTimeout, type Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import { IDENTITIES_LABEL, IDENTITIES_PREFIX } from "../../mesh/kubernetes/object-names.ts";
import {
  createObject,
  listObjects,
  readObject,
  replaceObject,
} from "../../mesh/kubernetes/objects.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import type { WatchChange } from "../../mesh/kubernetes/watch-state.ts";
import { createBell } from "../directory-watch.ts";
import type { AllocatorState, IdentityAllocator } from "../identity/allocator.ts";
import {
  shardCount,
  shardFromState,
  shardIndex,
  stateFromShards,
  type ShardData,
  type ShardFault,
} from "../identity/shards.ts";
import type { ObjectProblem } from "./desired-files.ts";

export interface IdentityObjectsOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called when `problems` may say something else. */
  readonly changed: () => void;
}

export interface IdentityObjects {
  /** What is kept; rejects while the API cannot be asked. */
  read(cluster: ClusterIdentity, signal: AbortSignal): Promise<AllocatorState>;
  /** Writes what changes, and what is left when the signal aborts; resolves then. */
  run(kept: KeptIdentities, signal: AbortSignal): Promise<void>;
  /** What a watch of the namespace's ConfigMaps tells. */
  apply(change: WatchChange): void;
  problems(): readonly ObjectProblem[];
}

export interface KeptIdentities {
  readonly cluster: ClusterIdentity;
  readonly allocator: Pick<IdentityAllocator, "table" | "state">;
}

/** At most five writes a second, also after thousands of changes at once. */
export const WRITE_INTERVAL_MS = 200;
/** Changes in this time cost one write a shard. */
export const COALESCE_MS = 1_000;
/** How often shards are looked through for numbers that have rested. */
const SWEEP_MS = 60_000;
/** Damage is repaired at once; who caused it should have a chance to read of it. */
const SHOW_DAMAGE_MS = 15 * 60_000;
const READ_TIMEOUT_MS = 20_000;
/** A pod that is asked to end has half a minute. */
const FLUSH_TIMEOUT_MS = 3_000;
const BACKOFF = { baseMs: 500, capMs: 30_000 };
/** Of one object, by name; a thousand sentences say no more. */
const SHOWN_FAULTS = 3;

interface KnownShard {
  readonly metadata: ConfigMap["metadata"];
  /** Of what we would have to write to make it so. */
  readonly digest: string;
}

export function createIdentityObjects(options: IdentityObjectsOptions): IdentityObjects {
  const { transport, namespace, clock, random } = options;
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const known = new Map<number, KnownShard>();
  const dirty = new Set<number>();
  const resting = new Set<number>();
  const bell = createBell();
  let listed = false;
  let damage: readonly ObjectProblem[] = [];
  let damagedAtMs = 0;
  let failure: ObjectProblem | undefined;

  function remember(index: number, { metadata, data }: ConfigMap): KnownShard {
    const { name, resourceVersion, labels, annotations } = metadata;
    const shard = {
      metadata: {
        name,
        namespace,
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(annotations === undefined ? {} : { annotations }),
        labels: labels ?? {},
      },
      digest: digestOf(data ?? {}, labels?.[IDENTITIES_LABEL]),
    };
    known.set(index, shard);
    return shard;
  }

  async function read(cluster: ClusterIdentity, signal: AbortSignal): Promise<AllocatorState> {
    const limit = { ms: READ_TIMEOUT_MS, what: "Cannot read kept identities", clock, signal };
    const selector = encodeURIComponent(IDENTITIES_LABEL);
    const objects = await withTimeout(
      (inner) => listObjects<ConfigMap>(transport, `${path}?labelSelector=${selector}`, inner),
      limit,
    );
    const shards = objects.flatMap((object) => {
      const index = indexFromName(object.metadata.name);
      return index === undefined ? [] : [{ index, object, data: textsOf(object) }];
    });
    known.clear();
    for (const { index, object } of shards) remember(index, object);
    listed = true;
    const { state, faults } = stateFromShards(shards, { cluster, nowMs: clock.nowMs() });
    damagedAtMs = clock.monotonicMs();
    damage = shards.flatMap(({ index, object }) => {
      const own = faults.filter((fault) => fault.index === index);
      return own.length === 0 ? [] : [problemOf(object, own)];
    });
    options.changed();
    return state;
  }

  /** Returns whether anything was written. */
  async function writeShard(
    index: number,
    { cluster, allocator }: KeptIdentities,
    signal: AbortSignal,
  ): Promise<boolean> {
    const data = shardFromState(allocator.state(), { index, cluster });
    if (Object.keys(data).some(isRetired)) resting.add(index);
    else resting.delete(index);
    const digest = digestOf(data, cluster.name);
    if (known.get(index)?.digest === digest) return false;
    const name = shardName(index);
    const last = known.get(index);
    const isExact = last?.metadata.resourceVersion !== undefined;
    const current = isExact ? last : await readShard(index, signal);
    if (current?.digest === digest) return false;
    const ours = { [IDENTITIES_LABEL]: cluster.name };
    if (current === undefined) {
      if (Object.keys(data).length === 0) return false;
      const metadata = { name, namespace, labels: ours };
      const body: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
      // One that is there now was made this moment; it is read before it is written.
      if (await createObject(transport, { path, body }, signal)) remember(index, body);
      else dirty.add(index);
      return true;
    }
    const metadata = { ...current.metadata, labels: { ...current.metadata.labels, ...ours } };
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
    const written = replaceObject<ConfigMap>(transport, { path: `${path}/${name}`, body }, signal);
    remember(index, await written);
    return true;
  }

  async function readShard(index: number, signal: AbortSignal): Promise<KnownShard | undefined> {
    const found = await readObject<ConfigMap>(transport, `${path}/${shardName(index)}`, signal);
    return found === undefined ? undefined : remember(index, found);
  }

  /** Returns whether all that was to be written is. One shard that cannot be holds up no other. */
  async function writeDirty(
    kept: KeptIdentities,
    { pauseMs }: { readonly pauseMs: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    let problem: ObjectProblem | undefined;
    let conflicts = 0;
    for (const index of [...dirty].sort((a, b) => a - b)) {
      dirty.delete(index);
      try {
        const written = await writeShard(index, kept, signal);
        if (written && pauseMs > 0) await clock.sleep(pauseMs, signal);
      } catch (error) {
        dirty.add(index);
        known.delete(index);
        if (signal.aborted) throw error;
        if (isMeshError(error, "conflict")) conflicts++;
        else problem ??= unwritten(index, error);
        if (isMeshError(error, "unavailable")) break;
      }
    }
    if (problem?.message !== failure?.message) options.changed();
    failure = problem;
    return problem === undefined && conflicts === 0;
  }

  async function follow({ cluster, allocator }: KeptIdentities, signal: AbortSignal) {
    for await (const keys of allocator.table.changes(signal)) {
      for (const key of keys) dirty.add(shardIndex(Number(key), cluster));
      bell.ring();
    }
  }

  async function keep(kept: KeptIdentities, signal: AbortSignal): Promise<void> {
    const backoff = createBackoff({ ...BACKOFF, random });
    for (let index = 0; index < shardCount(kept.cluster); index++) dirty.add(index);
    while (!signal.aborted) {
      try {
        if (!listed) await read(kept.cluster, signal);
        if (await writeDirty(kept, { pauseMs: WRITE_INTERVAL_MS }, signal)) {
          backoff.reset();
          await clock.sleep(COALESCE_MS, signal);
          if (dirty.size === 0) await bell.wait(SWEEP_MS, { clock, signal });
          for (const index of resting) dirty.add(index);
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        failure = unwritten(0, error);
        options.changed();
      }
      await clock.sleep(backoff.nextMs(), signal);
    }
  }

  /** What was given out in the last second before the end. */
  async function flush(kept: KeptIdentities): Promise<void> {
    if (!listed || dirty.size === 0) return;
    const limit = { ms: FLUSH_TIMEOUT_MS, what: "Cannot keep identities", clock };
    const { signal } = new AbortController();
    await withTimeout((inner) => writeDirty(kept, { pauseMs: 0 }, inner), {
      ...limit,
      signal,
    }).catch(
      () => {}, // The numbers that are lost are skipped by whoever starts next.
    );
  }

  const applyPut = (object: ConfigMap): void => {
    const index = indexFromName(object.metadata.name);
    if (index === undefined) return;
    const { resourceVersion } = object.metadata;
    if (known.get(index)?.metadata.resourceVersion === resourceVersion) return;
    remember(index, object);
    touch(index);
  };
  const touch = (index: number): void => {
    dirty.add(index);
    bell.ring();
  };

  return {
    read,
    async run(kept, signal) {
      await Promise.all([
        follow(kept, signal),
        keep(kept, signal).catch((error: unknown) => {
          if (!signal.aborted) throw error;
        }),
      ]);
      await flush(kept);
    },
    apply(change) {
      if (!listed) return;
      if (change.kind === "put") {
        applyPut(change.object);
        return;
      }
      for (const index of known.keys()) {
        const key = `${namespace}/${shardName(index)}`;
        const gone = change.kind === "delete" ? change.key === key : !change.keys.has(key);
        if (!gone) continue;
        known.delete(index);
        touch(index);
      }
    },
    problems: () => [
      ...(clock.monotonicMs() - damagedAtMs < SHOW_DAMAGE_MS ? damage : []),
      ...(failure === undefined ? [] : [failure]),
    ],
  };
}

function shardName(index: number): string {
  return `${IDENTITIES_PREFIX}${index}`;
}

function indexFromName(name: string): number | undefined {
  if (!name.startsWith(IDENTITIES_PREFIX)) return undefined;
  const text = name.slice(IDENTITIES_PREFIX.length);
  return /^(0|[1-9]\d?)$/.test(text) ? Number(text) : undefined;
}

function textsOf({ data }: ConfigMap): ShardData {
  return data ?? {};
}

function isRetired(key: string): boolean {
  return key.startsWith("retired-");
}

/** Of everything that is ours in an object, the order of keys aside. */
function digestOf(data: ShardData, cluster: string | undefined): string {
  const hash = createHash("sha256").update(`${cluster}\n`);
  for (const key of Object.keys(data).sort()) hash.update(JSON.stringify([key, data[key]]));
  return hash.digest("base64");
}

function problemOf(object: ConfigMap, faults: readonly ShardFault[]): ObjectProblem {
  const shown = faults.slice(0, SHOWN_FAULTS).map(({ message }) => message);
  const more = faults.length - shown.length;
  const rest = more === 0 ? "" : `, and ${more} more`;
  const { name } = object.metadata;
  return { kind: "ConfigMap", name, object, message: `${shown.join("; ")}${rest}` };
}

function unwritten(index: number, error: unknown): ObjectProblem {
  const message = `Cannot keep identities: ${messageFromError(error)}`;
  return { kind: "ConfigMap", name: shardName(index), object: undefined, message };
}

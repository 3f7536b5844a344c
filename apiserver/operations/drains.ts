// Drains on their way to those who act on them: `operations/drains.json` of the cluster directory
// into etcd. What the cluster says of itself goes where peers read it, what it alone does about a
// peer stays for its own agents. Expired records are taken out; a file that cannot be read leaves
// what there was.
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { Table } from "../../mesh/core/table.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import { parseDrainFile } from "../../mesh/drain/drain-file.ts";
import {
  drainsPrefix,
  drainsSyncedKey,
  localDrainsPrefix,
  localDrainsSyncedKey,
} from "../../mesh/kvstore/keys.ts";
import {
  drainIsInForce,
  encodeDrain,
  sameDrain,
  type DrainRecord,
} from "../../mesh/kvstore/records/drain.ts";
import type { EventSink } from "../../mesh/operations/event.ts";
import { createBell, watchDirectory } from "../directory-watch.ts";
import { bufferTable } from "../export/desired.ts";
import { createKindWriter, type WriterOptions } from "../kind-writer.ts";
import type { ClusterIds } from "../mirror/cluster-ids.ts";
import { drainEvent } from "./drain-events.ts";

export interface DrainsOptions extends Omit<WriterOptions, "desired"> {
  /** Our own cluster. */
  readonly cluster: ClusterIdentity;
  /** `operations/drains.json`. */
  readonly path: string;
  /** Whether no file means no drains; under Kubernetes it only has not been written yet. */
  readonly absentMeansNone: boolean;
  readonly clusterIds: Pick<ClusterIds, "held">;
  readonly events: EventSink;
}

export interface Drains {
  /** In force, about ourselves and about peers. */
  current(): readonly DrainRecord[];
  /** Why the file is not in force as it stands, or empty. */
  problem(): string;
  reapply(keys: readonly string[]): void;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** Finds what the kernel's notifications miss. */
const RESCAN_MS = 5_000;

export function createDrains(options: DrainsOptions): Drains {
  const { cluster, path, clock, clusterIds, events, log } = options;
  const told = bufferTable("drains/state");
  const own = bufferTable("drains/local");
  const writers = [
    createKindWriter({
      ...options,
      desired: told,
      prefix: drainsPrefix(cluster.name),
      canaryKey: drainsSyncedKey({ cluster: cluster.name, cached: false }),
    }),
    createKindWriter({
      ...options,
      desired: own,
      prefix: localDrainsPrefix(cluster.name),
      canaryKey: localDrainsSyncedKey(cluster.name),
    }),
  ];
  let ordered: readonly DrainRecord[] = [];
  let current: ReadonlyMap<string, DrainRecord> = new Map();
  let problem = "";
  let heard = false;

  async function read(): Promise<void> {
    try {
      const text = await readIfThere(path);
      if (text === undefined && !options.absentMeansNone) return;
      ordered = text === undefined ? [] : parseDrainFile(text, path);
      heard = true;
      problem = "";
    } catch (error) {
      const reason = messageFromError(error);
      if (reason !== problem) log.error("Drains stay as they are", { reason });
      problem = reason;
    }
  }

  function apply(): void {
    if (!heard) return;
    const nowMs = clock.nowMs();
    const next = new Map<string, DrainRecord>();
    for (const drain of ordered) {
      if (!drainIsInForce(drain, nowMs)) continue;
      const { name, id } = cluster;
      const clusterId =
        drain.cluster === name ? id : (clusterIds.held.get(drain.cluster) ?? drain.clusterId);
      next.set(drain.id, { ...drain, clusterId });
    }
    tell(next, nowMs);
    fill(told, drainsPrefix(cluster.name), [...next.values()].filter(isOwn));
    fill(
      own,
      localDrainsPrefix(cluster.name),
      [...next.values()].filter((drain) => !isOwn(drain)),
    );
    current = next;
  }

  function tell(next: ReadonlyMap<string, DrainRecord>, nowMs: number): void {
    for (const id of new Set([...current.keys(), ...next.keys()])) {
      const [before, after] = [current.get(id), next.get(id)];
      if (before !== undefined && after !== undefined && sameDrain(before, after)) continue;
      const event = drainEvent({ before, after, nowMs });
      if (event !== undefined) events.emit(event);
    }
  }

  const isOwn = (drain: DrainRecord): boolean => drain.cluster === cluster.name;

  function fill(
    table: ReturnType<typeof bufferTable>,
    prefix: string,
    drains: readonly DrainRecord[],
  ): void {
    const wanted = new Map(drains.map((drain) => [prefix + drain.id, encodeDrain(drain)]));
    for (const [key, value] of wanted) table.put(key, value);
    for (const [key] of table.entries()) if (!wanted.has(key)) table.delete(key);
    table.markSynced();
  }

  /** Until the next end of a drain, and no longer than the next look at the file. */
  function waitMs(): number {
    const nowMs = clock.nowMs();
    const ends = [...current.values()].flatMap(({ expiresAtMs }) =>
      expiresAtMs === 0 ? [] : [expiresAtMs - nowMs],
    );
    return Math.max(1, Math.min(RESCAN_MS, ...ends));
  }

  async function follow(signal: AbortSignal): Promise<void> {
    const directory = dirname(path);
    await mkdir(directory, { recursive: true });
    const bell = createBell();
    const watching = watchDirectory({ directory, bell, clock }, signal);
    try {
      while (!signal.aborted) {
        await read();
        apply();
        await bell.wait(waitMs(), { clock, signal });
      }
    } finally {
      await watching;
    }
  }

  /** A peer's id may be heard after the drain that names it. */
  async function followIds(held: Table<number>, signal: AbortSignal): Promise<void> {
    for await (const _ of held.changes(signal)) apply();
  }

  return {
    current: () => [...current.values()],
    problem: () => problem,
    reapply(keys) {
      for (const writer of writers) writer.reapply(keys);
    },
    run: (signal) =>
      runTasks(
        [
          { name: "follow drains", run: follow },
          { name: "ids of drained", run: (inner) => followIds(clusterIds.held, inner) },
          ...writers.map((writer, index) => ({
            name: `write drains ${index}`,
            run: (inner: AbortSignal) => writer.run(inner),
          })),
        ],
        signal,
      ),
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

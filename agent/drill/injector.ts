// Faults of a drill, as rows of the map `faults`. Each row has an end by the kernel's clock and is
// renewed by asking again, so whoever dies, it is over within FAULT_TTL_MAX_MS; and it is over
// after FAULT_LASTS_MAX_MS however often it is renewed.
import { createHash } from "node:crypto";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { MeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { FAULT_TTL_MAX_MS, type PacketFault } from "../../mesh/operations/questions.ts";
import { FaultDirection, type Fault } from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { SLOW_PRIORITY, type SlowWay } from "./slow-way.ts";

/** A drill that needs longer is an outage. */
export const FAULT_LASTS_MAX_MS = 15 * 60_000;

/** Row of every node that has no row of its own cluster. */
const EVERYBODY = 0;
const TIDY_EVERY_MS = 1_000;

export type FaultMap = Pick<BpfMap<number, Fault>, "get" | "put" | "entries">;

export interface InjectorOptions {
  readonly faults: FaultMap;
  /** Undefined for a cluster that is not known here. */
  readonly clusterId: (name: string) => ClusterId | undefined;
  readonly slowWay: SlowWay;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface InjectRequest {
  readonly drill: string;
  readonly faults: readonly PacketFault[];
  readonly ttlMs: number;
}

export interface Injector {
  /**
   * In place of what the drill had injected before. Rejects with `conflict` while a fault of
   * another drill is in force, with `deadline_exceeded` once the drill has had its time.
   */
  inject(request: InjectRequest, signal: AbortSignal): Promise<void>;
  /** Ends every fault of that drill, or of any for "". */
  lift(drill: string, signal: AbortSignal): Promise<void>;
  /** Takes away what is over: rows, and the slow way when nothing takes it. */
  tidy(signal: AbortSignal): Promise<void>;
  /** Tidies until the signal aborts; faults in force outlive it. */
  run(signal: AbortSignal): Promise<void>;
}

const NO_FAULT: Fault = {
  expiresNs: 0n,
  packets: 0n,
  drill: 0,
  seed: 0,
  slowPriority: 0,
  directions: FaultDirection.nowhere,
  flowPercent: 0,
  dropPercent: 0,
  refuse: 0,
};

export function createInjector(options: InjectorOptions): Injector {
  const { faults: map, slowWay, kernelNowNs, clock, log } = options;
  /** The drill that injects, and since when without a pause. Another agent's past is not known. */
  let since: { readonly drill: string; readonly ms: number } | undefined;

  function inForce(): (readonly [number, Fault])[] {
    const now = kernelNowNs();
    return [...map.entries()].filter(([, { expiresNs }]) => expiresNs > now);
  }

  function clear(concerns: (fault: Fault, cluster: number) => boolean): void {
    for (const [cluster, fault] of map.entries()) {
      if (fault.expiresNs !== 0n && concerns(fault, cluster)) map.put(cluster, NO_FAULT);
    }
  }

  async function tidy(signal: AbortSignal): Promise<void> {
    const now = kernelNowNs();
    clear(({ expiresNs }) => expiresNs <= now);
    if (!inForce().some(([, { slowPriority }]) => slowPriority !== 0)) await slowWay.close(signal);
  }

  return {
    tidy,
    async inject({ drill, faults, ttlMs }, signal) {
      const rows = planFaultRows(faults, options.clusterId);
      const number = drillNumber(drill);
      const before = inForce();
      const other = before.find(([, fault]) => fault.drill !== number);
      if (other !== undefined) {
        throw new MeshError(
          "conflict",
          `Cannot inject faults of drill "${drill}": another drill's are in force on this node`,
          { hint: "stop that drill, or wait until its faults have expired" },
        );
      }
      const nowMs = clock.monotonicMs();
      if (since?.drill !== drill || before.length === 0) since = { drill, ms: nowMs };
      const leftMs = since.ms + FAULT_LASTS_MAX_MS - nowMs;
      if (leftMs <= 0) {
        throw new MeshError(
          "deadline_exceeded",
          `Cannot renew faults of drill "${drill}": they have lasted ${FAULT_LASTS_MAX_MS / 60_000} minutes`,
          { hint: "a fault may not last longer; lift it first" },
        );
      }
      const slow = [...rows.values()].some(({ slowPriority }) => slowPriority !== 0);
      if (slow) await slowWay.open(signal);
      // After the slow way is there: making it takes its time, and the kernel's clock goes on.
      const lastsMs = Math.min(ttlMs, FAULT_TTL_MAX_MS, leftMs);
      const expiresNs = kernelNowNs() + BigInt(Math.round(lastsMs * 1e6));
      clear((_, cluster) => !rows.has(cluster));
      for (const [cluster, row] of rows) {
        const packets = map.get(cluster)?.packets ?? 0n;
        map.put(cluster, { ...NO_FAULT, ...row, expiresNs, packets, ...numbersOf(drill) });
      }
      if (before.length === 0)
        log.warn("A drill injects faults", { drill, faults, ttlMs: lastsMs });
    },
    async lift(drill, signal) {
      const number = drillNumber(drill);
      clear((fault) => drill === "" || fault.drill === number);
      log.info("Faults of drills are lifted", { drill });
      await tidy(signal);
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          await tidy(signal);
          await clock.sleep(TIDY_EVERY_MS, signal);
        } catch (error) {
          if (signal.aborted) return;
          log.warn("What a drill has left cannot be taken away yet", {
            reason: messageFromError(error),
          });
          await clock.sleep(TIDY_EVERY_MS, signal).catch(() => {}); // Only an abort rejects.
        }
      }
    },
  };
}

type PlannedRow = Pick<
  Fault,
  "directions" | "flowPercent" | "dropPercent" | "refuse" | "slowPriority"
>;

/** What each row shall hold, by cluster id. Throws `invalid_argument`, `not_found`. */
export function planFaultRows(
  faults: readonly PacketFault[],
  clusterId: (name: string) => ClusterId | undefined,
): ReadonlyMap<number, PlannedRow> {
  const rows = new Map<number, PlannedRow>();
  for (const fault of faults) {
    const id = fault.peer === "" ? EVERYBODY : clusterId(fault.peer);
    if (id === undefined) {
      throw new MeshError(
        "not_found",
        `Cannot inject a fault towards cluster "${fault.peer}": this node does not know it`,
      );
    }
    const row = rowOf(fault);
    const known = rows.get(id);
    if (known !== undefined && !sameButDirection(known, row)) {
      throw new MeshError(
        "invalid_argument",
        `Cannot inject two faults towards ${fault.peer === "" ? "every node" : `cluster "${fault.peer}"`}: they differ in more than direction`,
      );
    }
    const directions = ((known?.directions ?? 0) | row.directions) as FaultDirection;
    rows.set(id, { ...row, directions });
  }
  return rows;
}

const DIRECTIONS = {
  both: FaultDirection.bothWays,
  outbound: FaultDirection.outbound,
  inbound: FaultDirection.inbound,
} as const;

function rowOf(fault: PacketFault): PlannedRow {
  if (fault.slow && fault.direction === "inbound") {
    throw new MeshError(
      "invalid_argument",
      "Cannot slow down inbound packets: they are delayed where they leave a node; want direction outbound or both",
    );
  }
  return {
    directions: DIRECTIONS[fault.direction],
    flowPercent: Math.round(fault.flowPercent),
    dropPercent: Math.round(fault.dropPercent),
    refuse: fault.refuse ? 1 : 0,
    slowPriority: fault.slow ? SLOW_PRIORITY : 0,
  };
}

function sameButDirection(a: PlannedRow, b: PlannedRow): boolean {
  return (
    a.flowPercent === b.flowPercent &&
    a.dropPercent === b.dropPercent &&
    a.refuse === b.refuse &&
    a.slowPriority === b.slowPriority
  );
}

/** The same drill concerns the same flows on every node, however often it is renewed. */
function numbersOf(drill: string): Pick<Fault, "drill" | "seed"> {
  return { drill: drillNumber(drill), seed: hashOf(`seed ${drill}`) };
}

/** Never 0, which is no drill. */
export function drillNumber(drill: string): number {
  return hashOf(drill) || 1;
}

function hashOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32LE(0);
}

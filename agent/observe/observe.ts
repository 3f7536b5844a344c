// Takes flow records from the kernel and tells whoever listens: `mesh observe`.
//
//   flow_records ─► a look every 100 ms ─► names ─► flow log ─┬─► the past
//                                                             └─► listeners
//
// What may be lost is counted: by the kernel where its buffer was full, by the log where a listener
// was slow. A node that has more to tell than we may spend loses in the kernel: that costs nothing.
import type { CountMap } from "../../bpf/counts.ts";
import type { CounterName } from "../../bpf/datapath.ts";
import type { FlowRecord } from "../../bpf/gen/layout.ts";
import type { Observed, ObserveRequest } from "../../mesh/api/policy-messages.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import { createDecorator, type DecorateParts } from "./decorate.ts";
import { flowFilter } from "./filter.ts";
import { createFlowLog } from "./flow-log.ts";

export interface NodeObserveParts extends Omit<DecorateParts, "wallMs"> {
  readonly records: FlowRecordSource;
  readonly counters: Pick<CountMap<CounterName>, "read">;
  readonly clock: Clock;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly log: Logger;
}

/** The reading end of `flow_records`. */
export interface FlowRecordSource {
  /** What is there, oldest first, at most `limit`; waits for nothing. */
  read(limit: number): readonly FlowRecord[];
}

export interface NodeObserve {
  readonly tasks: readonly Task[];
  /** Throws `invalid_argument`, or `resource_exhausted` when too many listen. */
  readonly observe: (
    request: ObserveRequest,
    context: { readonly signal: AbortSignal },
  ) => AsyncIterable<Observed>;
  readonly status: () => ObserveStatus;
}

export interface ObserveStatus {
  /** Records that were read since the agent has started. */
  readonly records: number;
  /** Flows that listeners were too slow for. */
  readonly overrun: number;
  readonly listeners: number;
}

/** The buffer holds as much as a busy node tells in this time (bpf/lib/records.h). */
const LOOK_INTERVAL_MS = 100;
/** Read before other work of the agent gets a turn: a few ms. */
const BATCH_RECORDS = 1_024;
/** Of one look: more than the buffer holds. */
const BATCHES_A_LOOK = 10;
/** After a look that took long, so many times as long passes before the next: a fifth of a CPU. */
const REST_SHARE = 4;

export function createNodeObserve(parts: NodeObserveParts): NodeObserve {
  const { records, counters, clock, kernelNowNs, log } = parts;
  const flowLog = createFlowLog();
  let count = 0;
  /** By the kernel's counter; what was lost before we began to listen is nobody's loss. */
  let lostBefore = lostInKernel();
  let hasFailed = false;

  function lostInKernel(): bigint {
    return counters.read().get("flowRecordsLost") ?? 0n;
  }

  /** Whether there may be more. */
  function readBatch(): boolean {
    const batch = records.read(BATCH_RECORDS);
    if (batch.length === 0) return false;
    const nowNs = kernelNowNs();
    const nowMs = clock.nowMs();
    const wallMs = (timeNs: bigint): number => nowMs - Number(nowNs - timeNs) / 1e6;
    const decorate = createDecorator({ ...parts, wallMs });
    for (const record of batch) flowLog.add(decorate(record));
    count += batch.length;
    return batch.length === BATCH_RECORDS;
  }

  async function look(signal: AbortSignal): Promise<void> {
    for (let batch = 1; readBatch() && batch < BATCHES_A_LOOK; batch++) {
      await clock.sleep(0, signal);
    }
    // The buffer was full while we read, or before: nobody can tell between which records.
    const lost = lostInKernel();
    flowLog.lose(Number(lost - lostBefore));
    lostBefore = lost;
  }

  /** A look that fails is no reason to end the agent; it is said once. */
  async function tryToLook(signal: AbortSignal): Promise<void> {
    try {
      await look(signal);
      hasFailed = false;
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      if (!hasFailed) log.warn("Flow records cannot be read", { error });
      hasFailed = true;
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const startedMs = clock.monotonicMs();
        await tryToLook(signal);
        const tookMs = clock.monotonicMs() - startedMs;
        await clock.sleep(Math.max(LOOK_INTERVAL_MS, tookMs * REST_SHARE), signal);
      }
    } catch (error) {
      if (!isMeshError(error, "aborted")) throw error;
    }
  }

  async function* follow(
    request: ObserveRequest,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<Observed> {
    const filter = flowFilter(request);
    // Nothing comes between the past and the listener: both are taken in one go.
    using listener = request.follow ? flowLog.listen(filter) : undefined;
    yield* flowLog.past(request.last, filter);
    while (listener !== undefined && !signal.aborted) yield* await listener.take(signal);
  }

  return {
    tasks: [{ name: "observe", run }],
    observe: follow,
    status: () => ({ records: count, overrun: flowLog.overrun, listeners: flowLog.listeners }),
  };
}

// Keeps one kind of objects as the API server has it: lists, watches, and begins again where it
// was after whatever ends a connection. What is asked next is watch-state.ts's to say.
import { createBackoff } from "../core/backoff.ts";
import { withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { openWatch, readPage } from "./api-calls.ts";
import type { KubernetesTransport } from "./transport.ts";
import {
  INITIAL_WATCH_STATE,
  stepWatch,
  type WatchChange,
  type WatchInput,
  type WatchState,
} from "./watch-state.ts";

export interface WatchLoopOptions {
  readonly transport: KubernetesTransport;
  /** Asked before every list, because a server that is upgraded may move a kind. */
  readonly path: (signal: AbortSignal) => Promise<string>;
  readonly apply: (change: WatchChange) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly limits?: WatchLimits | undefined;
}

export interface WatchLimits {
  /** For a page, and for a watch to be taken. */
  readonly answerMs: number;
  /**
   * How long the server is asked to keep a watch. Between the two by chance, so that the kinds do
   * not come back together; short, because silence proves nothing before its end.
   */
  readonly minWatchSeconds: number;
  readonly maxWatchSeconds: number;
  /** A watch that the server has not ended by then is dead, however alive its connection looks. */
  readonly graceMs: number;
  /**
   * Whoever was away for longer may come back with a restored etcd whose versions have already
   * passed ours, which no question about versions tells: everything is listed again.
   */
  readonly longOutageMs: number;
  /** The longest pause between two attempts. */
  readonly maxBackoffMs: number;
}

/** How often things have happened since the start. */
export interface WatchCounts {
  /** Lists that were read to their last page. */
  readonly lists: number;
  /** Versions or pages that were not kept any more (410). */
  readonly expired: number;
  /** Servers that have come less far than we had, or were away for too long to be believed. */
  readonly doubts: number;
  /** Watches that were silent beyond their end, and questions without an answer. */
  readonly silent: number;
}

export interface WatchLoop {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Why the kind is not followed now, or empty. */
  problem(): string;
  counts(): WatchCounts;
}

/** A page is large and the server may be busy; one that is gone is noticed sooner by the kernel. */
const LIMITS: WatchLimits = {
  answerMs: 60_000,
  minWatchSeconds: 120,
  maxWatchSeconds: 240,
  graceMs: 20_000,
  longOutageMs: 30_000,
  maxBackoffMs: 30_000,
};
/**
 * Of who is the only one of a cluster to ask. Once the server is back, what it serves ends Pods
 * within seconds, and whoever has not heard of that sends to Pods that are gone.
 */
export const LONE_WATCH_LIMITS: WatchLimits = { ...LIMITS, maxBackoffMs: 2_000 };
/** A rest of a list that is refused so often, for whatever reason, is not waited for any longer. */
const MAX_PAGE_FAILURES = 3;
/** A watch that ends by itself sooner, without an event, counts as a failure. */
const SHORT_WATCH_MS = 1_000;
const MIN_BACKOFF_MS = 200;

export function createWatchLoop(options: WatchLoopOptions): WatchLoop {
  const { transport, clock, random, log, limits = LIMITS } = options;
  const backoff = createBackoff({ baseMs: MIN_BACKOFF_MS, capMs: limits.maxBackoffMs, random });
  const counts = { lists: 0, expired: 0, doubts: 0, silent: 0 };
  let state: WatchState = INITIAL_WATCH_STATE;
  let path = "";
  let problem = "";
  let pageFailures = 0;
  /** Since when nothing that was asked has been answered. */
  let lostSinceMs: number | undefined;

  function take(input: WatchInput): void {
    const before: WatchState = state;
    const next = stepWatch(state, input);
    state = next.state;
    for (const change of next.changes) options.apply(change);
    if (before.phase === "list" && state.phase === "watch") counts.lists++;
    if (input.kind === "gone") counts.expired++;
    else if (before.phase === "watch" && state.phase === "list") doubted();
    if (input.kind !== "page" && input.kind !== "event") return;
    answered();
    backoff.reset();
  }

  function doubted(): void {
    counts.doubts++;
    log.warn("The API server may have another past; listing again", { path });
  }

  function answered(): void {
    problem = "";
    pageFailures = 0;
    lostSinceMs = undefined;
  }

  async function list(
    { pageSize, continueToken }: Extract<WatchState, { phase: "list" }>,
    signal: AbortSignal,
  ): Promise<void> {
    const page = await withTimeout(
      async (inner) => {
        if (continueToken === "") path = await options.path(inner);
        return readPage(transport, { path, pageSize, continueToken }, inner);
      },
      { ms: limits.answerMs, what: "Cannot list objects", clock, signal },
    );
    take(page);
  }

  /** Whether the server still has the past that we know, as far as it can be asked. */
  async function prove(signal: AbortSignal): Promise<void> {
    if (lostSinceMs !== undefined && clock.monotonicMs() - lostSinceMs >= limits.longOutageMs) {
      take({ kind: "doubt" });
      return;
    }
    const { resourceVersion } = await withTimeout(
      (inner) => readPage(transport, { path, pageSize: 1, continueToken: "" }, inner),
      { ms: limits.answerMs, what: "Cannot ask for the version", clock, signal },
    );
    take({ kind: "present", resourceVersion });
  }

  async function watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { minWatchSeconds, maxWatchSeconds, graceMs, answerMs } = limits;
    const seconds = minWatchSeconds + Math.floor(random() * (maxWatchSeconds - minWatchSeconds));
    let takenMs = Infinity;
    let heard = false;
    const worked = (): boolean => heard || clock.monotonicMs() - takenMs >= SHORT_WATCH_MS;
    const ofWatch = new AbortController();
    const follow = async (inner: AbortSignal): Promise<void> => {
      const onAbort = (): void => ofWatch.abort(inner.reason);
      inner.addEventListener("abort", onAbort, { once: true });
      const events = await withTimeout(
        () => openWatch(transport, { path, resourceVersion, seconds }, ofWatch.signal),
        { ms: answerMs, what: "Cannot begin to watch", clock, signal: inner },
      );
      // A quiet kind may have nothing to say for hours.
      answered();
      takenMs = clock.monotonicMs();
      for await (const event of events) {
        // Late words of a watch that was given up must not be believed.
        if (inner.aborted || state.phase !== "watch") return;
        heard = true;
        take(event);
      }
    };
    try {
      await withTimeout(follow, {
        ms: seconds * 1_000 + graceMs,
        what: "Cannot go on watching",
        clock,
        signal,
      });
    } finally {
      ofWatch.abort("the watch has ended");
      take({ kind: "ended" });
      if (worked()) backoff.reset();
    }
    if (!worked()) await clock.sleep(backoff.nextMs(), signal);
  }

  async function failed(error: unknown, signal: AbortSignal): Promise<void> {
    lostSinceMs ??= clock.monotonicMs();
    if (isMeshError(error, "deadline_exceeded")) counts.silent++;
    // A path that is not there any more has moved to another version: find it and list again.
    const moved = state.phase === "watch" && isMeshError(error, "not_found");
    const stuck = state.phase === "list" && state.continueToken !== "";
    if (isMeshError(error, "compacted") || moved) take({ kind: "gone" });
    else if (isMeshError(error, "cluster_changed")) take({ kind: "doubt" });
    else if (stuck && ++pageFailures >= MAX_PAGE_FAILURES) take({ kind: "doubt" });
    const before = problem;
    problem = messageFromError(error);
    if (problem !== before) {
      log.warn("Objects are not followed; trying again", { path, reason: problem });
    }
    await clock.sleep(backoff.nextMs(), signal);
  }

  async function next(signal: AbortSignal): Promise<void> {
    if (state.phase === "list") await list(state, signal);
    else if (!state.proven) await prove(signal);
    else await watch(state.resourceVersion, signal);
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        try {
          await next(signal);
        } catch (error) {
          if (signal.aborted) return;
          await failed(error, signal).catch((cause: unknown) => {
            if (!signal.aborted) throw cause; // Only the sleep is cut short by the end.
          });
        }
      }
    },
    problem: () => problem,
    counts: () => ({ ...counts }),
  };
}

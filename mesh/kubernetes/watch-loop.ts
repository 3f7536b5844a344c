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
}

export interface WatchLoop {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Why the kind is not followed now, or empty. */
  problem(): string;
}

/** A page is large and the server may be busy; one that is gone is noticed sooner by the kernel. */
const LIST_TIMEOUT_MS = 60_000;
/**
 * How long the server is asked to keep a watch. Between the two by chance, so that the kinds do
 * not come back together; short, because silence proves nothing before its end.
 */
const MIN_WATCH_SECONDS = 120;
const MAX_WATCH_SECONDS = 240;
/** A watch that the server has not ended by then is dead, however alive its connection looks. */
const WATCH_GRACE_MS = 20_000;
/** A watch that ends by itself sooner, without an event, counts as a failure. */
const SHORT_WATCH_MS = 1_000;
const BACKOFF = { baseMs: 200, capMs: 30_000 };

export function createWatchLoop(options: WatchLoopOptions): WatchLoop {
  const { transport, clock, random, log } = options;
  const backoff = createBackoff({ ...BACKOFF, random });
  let state: WatchState = INITIAL_WATCH_STATE;
  let path = "";
  let problem = "";

  function take(input: WatchInput): void {
    const next = stepWatch(state, input);
    state = next.state;
    for (const change of next.changes) options.apply(change);
    if (input.kind === "gone") return;
    problem = "";
    backoff.reset();
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
      { ms: LIST_TIMEOUT_MS, what: "Cannot list objects", clock, signal },
    );
    take(page);
  }

  async function watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const spread = Math.floor(random() * (MAX_WATCH_SECONDS - MIN_WATCH_SECONDS));
    const seconds = MIN_WATCH_SECONDS + spread;
    const startedMs = clock.monotonicMs();
    let heard = false;
    await withTimeout(
      async (inner) => {
        const events = await openWatch(transport, { path, resourceVersion, seconds }, inner);
        // A quiet kind may have nothing to say for hours.
        problem = "";
        for await (const event of events) {
          // Late words of a watch that was given up must not be believed.
          if (inner.aborted || state.phase !== "watch") return;
          heard = true;
          take(event);
        }
      },
      { ms: seconds * 1_000 + WATCH_GRACE_MS, what: "Cannot go on watching", clock, signal },
    );
    if (heard || clock.monotonicMs() - startedMs >= SHORT_WATCH_MS) backoff.reset();
    else await clock.sleep(backoff.nextMs(), signal);
  }

  async function failed(error: unknown, signal: AbortSignal): Promise<void> {
    // A path that is not there any more has moved to another version: find it and list again.
    const moved = state.phase === "watch" && isMeshError(error, "not_found");
    if (isMeshError(error, "compacted") || moved) take({ kind: "gone" });
    problem = messageFromError(error);
    const delayMs = backoff.nextMs();
    log.warn("Objects are not followed; trying again", { path, reason: problem, delayMs });
    await clock.sleep(delayMs, signal);
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        try {
          if (state.phase === "list") await list(state, signal);
          else await watch(state.resourceVersion, signal);
        } catch (error) {
          if (signal.aborted) return;
          await failed(error, signal).catch((cause: unknown) => {
            if (!signal.aborted) throw cause; // Only the sleep is cut short by the end.
          });
        }
      }
    },
    problem: () => problem,
  };
}

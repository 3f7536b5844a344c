// The canary program without its process: sends what is due, gives each request its time, and
// reports every request exactly once when nothing more can come of it.
//
//   due ─► under way ── answer ──► listens for a second answer ─┬─► reported
//              ├────── error ───────────────────────────────────┤
//              └────── time is up: "hung" ──────────────────────┘
import { isMeshError } from "../../../mesh/core/errors.ts";
import type { Clock } from "../../../mesh/core/clock.ts";
import type { CanaryOrder, CanaryRecord } from "../../../mesh/operations/questions.ts";
import type { Attempt, StartAttempt } from "./attempt.ts";
import { createKept, type Kept, type OpenKept } from "./kept.ts";
import { parseCanaryTarget, type CanaryReport, type CanaryTarget } from "./messages.ts";
import { createSchedule } from "./schedule.ts";

export interface RunnerOptions {
  readonly orders: readonly CanaryOrder[];
  readonly ttlMs: number;
  readonly startAttempt: StartAttempt;
  readonly openKept: OpenKept;
  readonly report: (report: CanaryReport) => void;
  /** How much of what was reported nobody has taken yet, in bytes. */
  readonly backlog: () => number;
  readonly clock: Clock;
}

export interface Runner {
  renew(ttlMs: number): void;
  /** Nothing new is sent. */
  stop(): void;
  /** Resolves when nothing is sent any more and everything is reported. */
  run(signal: AbortSignal): Promise<void>;
}

/** How long after an answer a second one counts as a duplicate. */
const DUPLICATES_MS = 250;
/** Requests are sent this late at most; time-outs and reports too. */
const TICK_MS = 20;
const REPORT_EVERY_MS = 50;
/** A parent that takes nothing gets no more: then it hangs or is gone. */
const BACKLOG_MAX_BYTES = 4 * 1024 * 1024;

interface Flight {
  readonly order: number;
  readonly n: number;
  readonly sentAtMs: number;
  readonly startedMs: number;
  attempt: Attempt | undefined;
  ms: number;
  answer: string;
  error: string;
  duplicates: number;
}

interface Line {
  readonly order: CanaryOrder;
  readonly target: CanaryTarget;
  readonly kept: Kept | undefined;
  /** In the order in which they were sent, so that the first is the first to time out. */
  readonly waiting: Set<Flight>;
}

export function createRunner(options: RunnerOptions): Runner {
  return new CanaryRunner(options);
}

class CanaryRunner implements Runner {
  readonly #options: RunnerOptions;
  readonly #lines: readonly Line[];
  readonly #keptChanged = new Set<number>();
  /** Answered, in the order of their answers. */
  readonly #listening = new Set<Flight & { readonly untilMs: number }>();
  #over: (CanaryRecord & { order: number })[] = [];
  #untilMs: number;
  #reportedMs = 0;

  constructor(options: RunnerOptions) {
    const { orders, clock, ttlMs } = options;
    this.#options = options;
    this.#untilMs = clock.monotonicMs() + ttlMs;
    this.#lines = orders.map((order, index) => {
      const target = parseCanaryTarget(order.target);
      const kept = order.keepOne
        ? createKept({
            target,
            protocol: order.protocol,
            timeoutMs: order.timeoutMs,
            open: options.openKept,
            nowMs: clock.nowMs,
            changed: () => this.#keptChanged.add(index),
          })
        : undefined;
      return { order, target, kept, waiting: new Set() };
    });
  }

  renew(ttlMs: number): void {
    this.#untilMs = this.#options.clock.monotonicMs() + ttlMs;
  }

  stop(): void {
    this.#untilMs = 0;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, orders, backlog } = this.#options;
    const rates = orders.map(({ perSecond }) => perSecond);
    const schedule = createSchedule(rates, clock.monotonicMs());
    try {
      for (;;) {
        const nowMs = clock.monotonicMs();
        const sends = nowMs < this.#untilMs;
        if (sends && backlog() < BACKLOG_MAX_BYTES) {
          for (const due of schedule.take(nowMs)) this.#send(due, nowMs);
          for (const { kept } of this.#lines) kept?.tick(nowMs);
        }
        this.#sweep(clock.monotonicMs());
        this.#tell(nowMs);
        if (!sends && this.#isQuiet()) return;
        const next = sends ? Math.min(schedule.nextMs, nowMs + TICK_MS) : nowMs + TICK_MS;
        await clock.sleep(Math.max(1, next - clock.monotonicMs()), signal);
      }
    } catch (error) {
      if (!isMeshError(error, "aborted")) throw error;
    } finally {
      this.#closeAll();
    }
  }

  #send({ order, n }: { order: number; n: number }, startedMs: number): void {
    const line = this.#lines[order];
    if (line === undefined) return;
    const { clock, startAttempt } = this.#options;
    const flight: Flight = {
      order,
      n,
      sentAtMs: clock.nowMs(),
      startedMs,
      attempt: undefined,
      ms: -1,
      answer: "",
      error: "",
      duplicates: 0,
    };
    line.waiting.add(flight);
    const request = { target: line.target, protocol: line.order.protocol, n };
    flight.attempt = startAttempt(request, {
      settled: ({ answer, error }) => {
        const nowMs = clock.monotonicMs();
        this.#settle(line, flight, { answer, error, ms: nowMs - startedMs });
      },
      duplicate: () => flight.duplicates++,
    });
  }

  #settle(line: Line, flight: Flight, result: { answer: string; error: string; ms: number }): void {
    if (!line.waiting.delete(flight)) return;
    Object.assign(flight, { ...result, ms: Math.round(result.ms * 100) / 100 });
    if (flight.error !== "" || line.order.protocol === "connect") {
      this.#finish(flight);
    } else {
      const untilMs = flight.startedMs + flight.ms + DUPLICATES_MS;
      this.#listening.add(Object.assign(flight, { untilMs }));
    }
  }

  #sweep(nowMs: number): void {
    for (const line of this.#lines) {
      for (const flight of line.waiting) {
        const ms = nowMs - flight.startedMs;
        if (ms < line.order.timeoutMs) break;
        this.#settle(line, flight, { answer: "", error: "hung", ms });
      }
    }
    for (const flight of this.#listening) {
      if (nowMs < flight.untilMs) break;
      this.#listening.delete(flight);
      this.#finish(flight);
    }
  }

  #finish(flight: Flight): void {
    flight.attempt?.close();
    const { order, n, sentAtMs, ms, answer, error, duplicates } = flight;
    this.#over.push({ order, n, sentAtMs, ms, answer, error, duplicates });
  }

  #tell(nowMs: number): void {
    const quiet = this.#over.length === 0 && this.#keptChanged.size === 0;
    if (quiet || (nowMs - this.#reportedMs < REPORT_EVERY_MS && !this.#isQuiet())) return;
    this.#reportedMs = nowMs;
    const kept = [...this.#keptChanged].map((order) => ({
      order,
      flows: this.#lines[order]?.kept?.flows ?? [],
    }));
    this.#keptChanged.clear();
    const records = this.#over;
    this.#over = [];
    this.#options.report({ records, kept });
  }

  #isQuiet(): boolean {
    return this.#listening.size === 0 && this.#lines.every(({ waiting }) => waiting.size === 0);
  }

  #closeAll(): void {
    for (const { waiting, kept } of this.#lines) {
      for (const { attempt } of waiting) attempt?.close();
      kept?.close();
    }
    for (const { attempt } of this.#listening) attempt?.close();
  }
}

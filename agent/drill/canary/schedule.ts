// When which order's next request is due. Pure. The rate is kept from the start, not from the last
// request; what a program that was stopped has missed is not sent later, all at once.

export interface Due {
  readonly order: number;
  readonly n: number;
}

export interface Schedule {
  /** All that is due by now, oldest first. */
  take(nowMs: number): Due[];
  /** When the next one is due; Infinity without orders. */
  readonly nextMs: number;
}

/** More than a busy machine's scheduling: whoever is that late was stopped. */
const LATE_MAX_MS = 500;

export function createSchedule(perSecond: readonly number[], startMs: number): Schedule {
  // Spread over an interval, so that many orders of one rate are not sent in bursts.
  const lines = perSecond.map((rate, index) => {
    const intervalMs = rate > 0 ? 1_000 / rate : Number.POSITIVE_INFINITY;
    const offset = index / perSecond.length;
    return { intervalMs, dueMs: startMs + (rate > 0 ? intervalMs * offset : intervalMs), n: 0 };
  });
  return {
    take(nowMs) {
      const due: (Due & { readonly dueMs: number })[] = [];
      for (const [order, line] of lines.entries()) {
        if (nowMs - line.dueMs > LATE_MAX_MS) line.dueMs = nowMs;
        for (; line.dueMs <= nowMs; line.dueMs += line.intervalMs) {
          due.push({ order, n: line.n++, dueMs: line.dueMs });
        }
      }
      return due.sort((a, b) => a.dueMs - b.dueMs).map(({ order, n }) => ({ order, n }));
    },
    get nextMs() {
      return Math.min(...lines.map(({ dueMs }) => dueMs), Number.POSITIVE_INFINITY);
    },
  };
}

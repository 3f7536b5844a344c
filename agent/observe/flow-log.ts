// The flows that are kept for those who ask later, and the queues of those who listen. Bounded on
// both sides: the oldest of the past yields; a listener who is slow loses what comes, and is told
// how much.
import type { AgentFlow, Observed } from "../../mesh/api/policy-messages.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { FlowFilter } from "./filter.ts";

/** What `--last` can reach: some minutes of a quiet node, and about 8 MB. */
export const HISTORY_FLOWS = 8_192;
/** What a listener may be behind: seconds of a busy node. */
export const QUEUE_FLOWS = 4_096;
/** Each costs its filter for every flow. */
export const LISTENERS_MAX = 32;

export interface FlowLog {
  add(flow: AgentFlow): void;
  /** Records that nobody will see, between those that were added before and after. */
  lose(records: number): void;
  /** The newest that pass, oldest first, at most `limit`, with what was lost among them. */
  past(limit: number, filter: FlowFilter): Observed[];
  /** What comes from now on; to be closed. Throws `resource_exhausted`. */
  listen(filter: FlowFilter): FlowListener;
  readonly listeners: number;
  /** Flows that listeners were too slow for, all together. */
  readonly overrun: number;
}

export interface FlowListener extends Disposable {
  /** Everything that has come since, oldest first; waits for something. Empty after an abort. */
  take(signal: AbortSignal): Promise<readonly Observed[]>;
}

interface Kept {
  readonly flow: AgentFlow;
  /** Records that were lost before it. */
  readonly lostBefore: number;
}

export interface FlowLogLimits {
  readonly history?: number;
  readonly queue?: number;
}

export function createFlowLog(limits: FlowLogLimits = {}): FlowLog {
  const { history = HISTORY_FLOWS, queue = QUEUE_FLOWS } = limits;
  /** A ring: the oldest stands at `next` once it is full. */
  const kept: Kept[] = [];
  let next = 0;
  let lostSince = 0;
  let overrun = 0;
  const queues = new Set<Queue>();

  function* newestFirst(): Generator<Kept> {
    for (let i = 1; i <= kept.length; i++) {
      const found = kept[(next - i + kept.length) % kept.length];
      if (found !== undefined) yield found;
    }
  }

  return {
    add(flow) {
      kept[next] = { flow, lostBefore: lostSince };
      next = (next + 1) % history;
      lostSince = 0;
      for (const listener of queues) if (!listener.offer(flow)) overrun++;
    },
    lose(records) {
      if (records <= 0) return;
      lostSince += records;
      for (const listener of queues) listener.lose(records);
    },
    past(limit, filter) {
      const found: Observed[] = [];
      let lost = lostSince;
      let flows = 0;
      const tellLost = (): void => {
        if (lost > 0) found.push({ flow: null, lost });
        lost = 0;
      };
      if (limit > 0) {
        for (const { flow, lostBefore } of newestFirst()) {
          if (filter(flow)) {
            tellLost();
            found.push({ flow, lost: 0 });
            if (++flows === limit) return found.reverse();
          }
          lost += lostBefore;
        }
        tellLost();
      }
      return found.reverse();
    },
    listen(filter) {
      if (queues.size >= LISTENERS_MAX) {
        throw new MeshError(
          "resource_exhausted",
          `Cannot observe flows: ${LISTENERS_MAX} others do already`,
        );
      }
      const listener = new Queue(filter, queue);
      queues.add(listener);
      return {
        take: (signal) => listener.take(signal),
        [Symbol.dispose]: () => void queues.delete(listener),
      };
    },
    get listeners() {
      return queues.size;
    },
    get overrun() {
      return overrun;
    },
  };
}

class Queue {
  readonly #filter: FlowFilter;
  readonly #limit: number;
  #waiting: Observed[] = [];
  /** Lost behind all that is waiting. */
  #lost = 0;
  #wakeUp = (): void => {};

  constructor(filter: FlowFilter, limit: number) {
    this.#filter = filter;
    this.#limit = limit;
  }

  /** False if there was no room for it. */
  offer(flow: AgentFlow): boolean {
    if (!this.#filter(flow)) return true;
    if (this.#waiting.length >= this.#limit) {
      this.#lost++;
      return false;
    }
    this.#tellLost();
    this.#waiting.push({ flow, lost: 0 });
    this.#wakeUp();
    return true;
  }

  lose(records: number): void {
    this.#lost += records;
    this.#wakeUp();
  }

  async take(signal: AbortSignal): Promise<readonly Observed[]> {
    if (this.#isEmpty() && !signal.aborted) {
      const onAbort = (): void => this.#wakeUp();
      signal.addEventListener("abort", onAbort, { once: true });
      await new Promise<void>((resolve) => (this.#wakeUp = resolve));
      signal.removeEventListener("abort", onAbort);
    }
    if (signal.aborted) return [];
    this.#tellLost();
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  #isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#lost === 0;
  }

  #tellLost(): void {
    if (this.#lost > 0) this.#waiting.push({ flow: null, lost: this.#lost });
    this.#lost = 0;
  }
}

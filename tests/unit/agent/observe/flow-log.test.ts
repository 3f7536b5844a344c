import { describe, expect, test } from "@jest/globals";
import { createFlowLog, LISTENERS_MAX, type FlowLog } from "../../../../agent/observe/flow-log.ts";
import type { AgentFlow, Observed } from "../../../../mesh/api/policy-messages.ts";
import { FLOW } from "../../../fakes/agent-policy-answers.ts";

const all = (): boolean => true;
const never = new AbortController().signal;

function add(log: FlowLog, ...numbers: readonly number[]): void {
  for (const timeMs of numbers) log.add({ ...FLOW, timeMs });
}

/** `[1, "lost 3", 2]` */
function told(observed: Iterable<Observed>): (number | string)[] {
  return Array.from(observed, ({ flow, lost }) => flow?.timeMs ?? `lost ${lost}`);
}

describe("createFlowLog()", () => {
  test("past() has the newest that pass, oldest first", () => {
    const log = createFlowLog({ history: 4 });
    expect(log.past(9, all)).toEqual([]);
    add(log, 1, 2, 3);
    expect(told(log.past(9, all))).toEqual([1, 2, 3]);
    add(log, 4, 5, 6);
    expect(told(log.past(9, all))).toEqual([3, 4, 5, 6]);
    expect(told(log.past(2, all))).toEqual([5, 6]);
    expect(told(log.past(9, ({ timeMs }) => timeMs % 2 === 0))).toEqual([4, 6]);
    expect(log.past(0, all)).toEqual([]);
  });

  test("past() says what was lost between those that it shows", () => {
    const log = createFlowLog({ history: 8 });
    add(log, 1);
    log.lose(2);
    add(log, 2);
    log.lose(3);
    add(log, 3, 4);
    log.lose(4);
    log.lose(0);
    expect(told(log.past(9, all))).toEqual([1, "lost 2", 2, "lost 3", 3, 4, "lost 4"]);
    expect(told(log.past(2, all))).toEqual([3, 4, "lost 4"]);
    const odd = ({ timeMs }: AgentFlow): boolean => timeMs % 2 === 1;
    expect(told(log.past(9, odd))).toEqual([1, "lost 5", 3, "lost 4"]);
    expect(told(log.past(9, () => false))).toEqual(["lost 9"]);
  });

  test("a listener hears what comes, and waits when there is nothing", async () => {
    const log = createFlowLog();
    add(log, 1);
    using listener = log.listen(({ timeMs }) => timeMs !== 3);
    const first = listener.take(never);
    add(log, 2, 3, 4);
    expect(told(await first)).toEqual([2, 4]);
    log.lose(5);
    expect(told(await listener.take(never))).toEqual(["lost 5"]);
    add(log, 6);
    log.lose(1);
    add(log, 7);
    expect(told(await listener.take(never))).toEqual([6, "lost 1", 7]);
  });

  test("one that is slow loses what comes, is told how much, and hears what comes later", async () => {
    const log = createFlowLog({ queue: 2 });
    using slow = log.listen(all);
    using other = log.listen(({ timeMs }) => timeMs === 5);
    add(log, 1, 2, 3, 4);
    log.lose(10);
    add(log, 5);
    expect(told(await slow.take(never))).toEqual([1, 2, "lost 13"]);
    add(log, 6);
    expect(told(await slow.take(never))).toEqual([6]);
    expect(told(await other.take(never))).toEqual(["lost 10", 5]);
    expect(log.overrun).toBe(3);
  });

  test("take() ends when the signal aborts", async () => {
    const log = createFlowLog();
    using listener = log.listen(all);
    const end = new AbortController();
    const waiting = listener.take(end.signal);
    end.abort();
    expect(await waiting).toEqual([]);
    expect(await listener.take(end.signal)).toEqual([]);
  });

  test("has room for so many listeners, and for new ones when others have gone", () => {
    const log = createFlowLog();
    const listeners = Array.from({ length: LISTENERS_MAX }, () => log.listen(all));
    expect(log.listeners).toBe(LISTENERS_MAX);
    expect(() => log.listen(all)).toThrow(expect.objectContaining({ code: "resource_exhausted" }));
    for (const listener of listeners) listener[Symbol.dispose]();
    expect(log.listeners).toBe(0);
    log.listen(all)[Symbol.dispose]();
  });
});

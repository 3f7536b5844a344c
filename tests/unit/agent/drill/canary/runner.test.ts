// The runner on a fake network and clock: each request is reported once, whatever comes when.
import { describe, expect, test } from "@jest/globals";
import type { AttemptEvents } from "../../../../../agent/drill/canary/attempt.ts";
import type { CanaryReport } from "../../../../../agent/drill/canary/messages.ts";
import { createRunner, type Runner } from "../../../../../agent/drill/canary/runner.ts";
import { createFakeClock, type FakeClock } from "../../../../fakes/clock.ts";

interface Setup {
  readonly clock: FakeClock;
  readonly runner: Runner;
  readonly attempts: { readonly n: number; readonly events: AttemptEvents; closed: boolean }[];
  readonly records: CanaryReport["records"][number][];
  backlog: number;
}

function setup(ttlMs = 1_000): Setup {
  const clock = createFakeClock();
  const made: Omit<Setup, "runner"> = { clock, attempts: [], records: [], backlog: 0 };
  const order = {
    service: "a/b",
    target: "tcp:10.0.0.1:80",
    protocol: "echo",
    perSecond: 10,
    timeoutMs: 300,
    keepOne: false,
  } as const;
  const runner = createRunner({
    orders: [order],
    ttlMs,
    startAttempt({ n }, events) {
      const attempt = { n, events, closed: false };
      made.attempts.push(attempt);
      return { close: () => void (attempt.closed = true) };
    },
    openKept: () => ({ ask: () => {}, close: () => {} }),
    report: ({ records }) => void made.records.push(...records),
    backlog: () => made.backlog,
    clock,
  });
  return Object.assign(made, { runner });
}

const never = new AbortController().signal;
const ANSWER = { answer: "west/a", error: "" };

describe("createRunner()", () => {
  test("reports an answer with what came twice, an error at once, and silence as hung", async () => {
    const { clock, runner, attempts, records } = setup(250);
    const running = runner.run(never);
    await clock.advance(220);
    expect(attempts.map(({ n }) => n)).toEqual([0, 1, 2]);
    attempts[0]?.events.settled(ANSWER);
    attempts[0]?.events.duplicate();
    attempts[1]?.events.settled({ answer: "", error: "ECONNRESET" });
    await clock.advance(1_000);
    await running;
    expect(records.sort((a, b) => a.n - b.n)).toMatchObject([
      { n: 0, ms: 220, answer: "west/a", error: "", duplicates: 1 },
      { n: 1, ms: 120, answer: "", error: "ECONNRESET", duplicates: 0 },
      { n: 2, ms: 300, answer: "", error: "hung", duplicates: 0 },
    ]);
    expect(attempts.every(({ closed }) => closed)).toBe(true);
  });

  test("takes no answer after the time-out", async () => {
    const { clock, runner, attempts, records } = setup(50);
    const running = runner.run(never);
    await clock.advance(320);
    attempts[0]?.events.settled(ANSWER);
    await clock.advance(500);
    await running;
    expect(records.map(({ error }) => error)).toEqual(["hung"]);
  });

  test("goes on when it is renewed, and stops when it is told to", async () => {
    const { clock, runner, attempts } = setup(150);
    const running = runner.run(never);
    await clock.advance(100);
    runner.renew(10_000);
    await clock.advance(900);
    expect(attempts.length).toBeGreaterThanOrEqual(10);
    runner.stop();
    const sent = attempts.length;
    await clock.advance(2_000);
    await running;
    expect(attempts).toHaveLength(sent);
  });

  test("sends nothing while nobody takes its reports", async () => {
    const made = setup();
    made.backlog = 100 * 1024 * 1024;
    const running = made.runner.run(never);
    await made.clock.advance(500);
    expect(made.attempts).toEqual([]);
    made.runner.stop();
    await made.clock.advance(100);
    await running;
  });
});

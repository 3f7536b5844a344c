// Waiting for a level.
import { describe, expect, test } from "@jest/globals";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { Condition } from "../../../../mesh/kvstore/condition.ts";

describe("Condition", () => {
  test("until() resolves at once for what holds already", async () => {
    await new Condition().until(() => true, new AbortController().signal);
  });

  test("until() looks again at each notify()", async () => {
    const condition = new Condition();
    let level = 0;
    const waiting = condition.until(() => level >= 2, new AbortController().signal);
    level = 1;
    condition.notify();
    level = 2;
    condition.notify();
    await waiting;
  });

  test("until() listens once, however often it looks in vain", async () => {
    const condition = new Condition();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners++;
      add(...args);
    };
    let holds = false;
    const waiting = condition.until(() => holds, signal);
    for (let i = 0; i < 10; i++) {
      condition.notify();
      await Promise.resolve();
    }
    holds = true;
    condition.notify();
    await waiting;
    expect(listeners).toBe(1);
  });

  test("until() rejects with `aborted`", async () => {
    const end = new AbortController();
    const waiting = new Condition().until(() => false, end.signal);
    end.abort();
    const error = await waiting.catch((reason: unknown) => reason);
    expect(isMeshError(error, "aborted")).toBe(true);
  });
});

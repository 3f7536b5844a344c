import { describe, expect, test } from "@jest/globals";
import {
  createFailureLimiter,
  createTurns,
  FAILURES_PER_MINUTE,
} from "../../../../mesh/connect/join-limits.ts";

describe("createFailureLimiter()", () => {
  test("closes for one address after too many failures, for a minute", () => {
    let now = 0;
    const limiter = createFailureLimiter({ nowMs: () => now });
    for (let i = 0; i < FAILURES_PER_MINUTE; i++) {
      limiter.check("10.0.0.1");
      limiter.countFailure("10.0.0.1");
    }
    expect(() => limiter.check("10.0.0.1")).toThrow("too many wrong tokens");
    expect(() => limiter.check("10.0.0.2")).not.toThrow();
    now = 60_001;
    expect(() => limiter.check("10.0.0.1")).not.toThrow();
  });

  test("forgets the oldest of very many addresses", () => {
    const limiter = createFailureLimiter({ nowMs: () => 0 });
    for (let i = 0; i < FAILURES_PER_MINUTE; i++) limiter.countFailure("first");
    for (let i = 0; i < 1_024; i++) limiter.countFailure(`other-${i}`);
    expect(() => limiter.check("first")).not.toThrow();
  });
});

describe("createTurns()", () => {
  test("runs one at a time, in order, also after a failure", async () => {
    const turns = createTurns();
    const seen: string[] = [];
    const work = (name: string) => async () => {
      seen.push(`${name} begins`);
      await Promise.resolve();
      seen.push(`${name} ends`);
      if (name === "a") throw new Error("a failed");
    };
    const first = turns(work("a"));
    const second = turns(work("b"));
    await expect(first).rejects.toThrow("a failed");
    await second;
    expect(seen).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  });

  test("refuses when too many wait, and goes on afterwards", async () => {
    const turns = createTurns();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const waiting = Array.from({ length: 8 }, () => turns(() => gate));
    await expect(turns(() => gate)).rejects.toMatchObject({ code: "resource_exhausted" });
    release();
    await Promise.all(waiting);
    await expect(turns(() => Promise.resolve(1))).resolves.toBe(1);
  });
});

import { expect, test } from "@jest/globals";
import { runCollector } from "../../../../agent/enforcement/collect-connections.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

test("collects now and then, and goes on after a failure", async () => {
  const clock = createFakeClock();
  const end = new AbortController();
  let calls = 0;
  const collect = (): number => {
    if (++calls === 1) throw new Error("no such program");
    return 0;
  };
  const done = runCollector({ collect, clock, log: silentLogger }, end.signal);
  await clock.advance(30_000);
  expect(calls).toBe(3);
  end.abort();
  await done;
});

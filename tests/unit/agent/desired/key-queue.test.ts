import { expect, test } from "@jest/globals";
import { createKeyQueue } from "../../../../agent/desired/key-queue.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

test("hands every key out once, whenever it was asked for", async () => {
  const clock = createFakeClock();
  const queue = createKeyQueue(clock);
  const seen: string[] = [];
  const end = new AbortController();
  queue.add(["early", "early"]);
  const done = queue.run((key) => seen.push(key), end.signal);
  await clock.settle();
  expect(seen).toEqual(["early"]);
  await clock.advance(0);
  queue.add(["a", "b", "a"]);
  await clock.advance(0);
  expect(seen).toEqual(["early", "a", "b"]);
  end.abort();
  await done;
});

test("gives others a turn every 128 keys, and can be ended there", async () => {
  const clock = createFakeClock();
  const queue = createKeyQueue(clock);
  let count = 0;
  const end = new AbortController();
  queue.add(Array.from({ length: 9_000 }, (_, i) => String(i)));
  const done = queue.run(() => count++, end.signal);
  await clock.settle();
  expect(count).toBe(128);
  end.abort();
  await done;
  expect(count).toBe(128);
});

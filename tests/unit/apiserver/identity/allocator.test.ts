import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  createIdentityAllocator,
  IDLE_GRACE_MS,
  QUARANTINE_MS,
} from "../../../../apiserver/identity/allocator.ts";

function createAllocator(last = 103) {
  const time = { nowMs: 0 };
  const allocator = createIdentityAllocator({
    range: { first: 100, last },
    nowMs: () => time.nowMs,
  });
  return { allocator, time };
}

describe("createIdentityAllocator()", () => {
  test("assign() gives equal label sets one number and others another", () => {
    const { allocator } = createAllocator();
    expect(allocator.assign("a", ["x=1"])).toBe(100);
    expect(allocator.assign("b", ["x=1"])).toBe(100);
    expect(allocator.assign("c", ["x=2"])).toBe(101);
    expect(allocator.table.get("101")).toEqual(["x=2"]);
  });

  test("collect() retires a set only after its grace, and not while anybody uses it", () => {
    const { allocator, time } = createAllocator();
    allocator.assign("a", ["x=1"]);
    allocator.assign("b", ["x=1"]);
    allocator.release("a");
    time.nowMs += IDLE_GRACE_MS;
    allocator.collect();
    expect(allocator.table.size).toBe(1);
    allocator.release("b");
    time.nowMs += IDLE_GRACE_MS - 1;
    allocator.collect();
    expect(allocator.table.size).toBe(1);
    expect(allocator.assign("a", ["x=1"])).toBe(100);
    allocator.release("a");
    time.nowMs += IDLE_GRACE_MS;
    allocator.collect();
    expect(allocator.table.size).toBe(0);
    expect(allocator.counts()).toEqual({ inUse: 0, retired: 1, capacity: 4 });
  });

  test("assign() gives no number another meaning before it has rested", () => {
    const { allocator, time } = createAllocator(100);
    allocator.assign("a", ["x=1"]);
    allocator.release("a");
    time.nowMs += IDLE_GRACE_MS;
    allocator.collect();
    expect(() => allocator.assign("b", ["x=2"])).toThrow(
      "Cannot allocate an identity: all 1 numbers of the cluster are in use or resting",
    );
    time.nowMs += QUARANTINE_MS;
    allocator.collect();
    expect(allocator.assign("b", ["x=2"])).toBe(100);
  });

  test("assign() releases what the owner had before", () => {
    const { allocator, time } = createAllocator();
    allocator.assign("a", ["x=1"]);
    allocator.assign("a", ["x=2"]);
    time.nowMs += IDLE_GRACE_MS;
    allocator.collect();
    expect([...allocator.table.entries()]).toEqual([["101", ["x=2"]]]);
  });

  test("restore() keeps numbers, ignores foreign ones and prefers what came first", () => {
    const { allocator } = createAllocator();
    allocator.restore({
      next: 101,
      identities: [
        { number: 102, labels: ["x=1"] },
        { number: 7, labels: ["x=2"] },
      ],
      retired: [],
    });
    allocator.restore({
      next: 5_000,
      identities: [
        { number: 103, labels: ["x=1"] },
        { number: 102, labels: ["x=3"] },
      ],
      retired: [{ number: 101, atMs: 0 }],
    });
    expect(allocator.assign("a", ["x=1"])).toBe(102);
    expect(allocator.assign("b", ["x=2"])).toBe(100);
    expect(() => allocator.assign("c", ["x=3"])).toThrow("Cannot allocate an identity");
  });

  test("restore() of its own state() gives every set the same number, whatever the history", () => {
    const step = fc.record({
      owner: fc.constantFrom("a", "b", "c", "d"),
      labels: fc.constantFrom("x=1", "x=2", "x=3"),
      release: fc.boolean(),
      passMs: fc.constantFrom(0, IDLE_GRACE_MS),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { allocator, time } = createAllocator(130);
        const meaning = new Map<number, string>();
        for (const { owner, labels, release, passMs } of steps) {
          time.nowMs += passMs;
          allocator.collect();
          if (release) allocator.release(owner);
          else {
            const number = allocator.assign(owner, [labels]);
            // No hour has passed between two steps, so a number never means two things.
            if (steps.length * IDLE_GRACE_MS < QUARANTINE_MS) {
              expect(meaning.get(number) ?? labels).toBe(labels);
            }
            meaning.set(number, labels);
          }
        }
        const { allocator: restored } = createAllocator(130);
        restored.restore(allocator.state());
        for (const { number, labels } of allocator.state().identities) {
          expect(restored.assign("z", labels)).toBe(number);
        }
      }),
    );
  });
});

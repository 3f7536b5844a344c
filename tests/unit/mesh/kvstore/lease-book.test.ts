// Which key is attached to which lease.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { HEARTBEAT_KEY } from "../../../../mesh/kvstore/keys.ts";
import { LeaseBook, LEASE_MAX_KEYS, leaseClassOf } from "../../../../mesh/kvstore/lease-book.ts";

describe("leaseClassOf()", () => {
  for (const [key, expected] of [
    [HEARTBEAT_KEY, "vouching"],
    ["cilium/synced/east/cilium/state/nodes/v1", "vouching"],
    ["cilium/state/nodes/v1/east/n1", "data"],
    ["cilium/cluster-config/east", "data"],
    ["cilium/.heartbeats", "data"],
  ] as const)
    test(`takes ${key} for ${expected}`, () => {
      expect(leaseClassOf(key)).toBe(expected);
    });
});

describe("LeaseBook", () => {
  test("books nothing without a lease that has room", () => {
    const book = new LeaseBook();
    expect(book.book("a")).toBeUndefined();
    book.add("1", "data");
    for (let i = 0; i < LEASE_MAX_KEYS; i++) expect(book.book(`k${i}`)).toBe("1");
    expect(book.room("data")).toBe(0);
    expect(book.book("one-more")).toBeUndefined();
    book.forget("k5");
    expect(book.book("one-more")).toBe("1");
  });

  test("keeps a key at its lease when it is written again", () => {
    const book = new LeaseBook();
    book.add("1", "data");
    book.book("a");
    book.add("2", "data");
    expect(book.book("a")).toBe("1");
  });

  test("keeps those that vouch apart from data", () => {
    const book = new LeaseBook();
    book.add("1", "data");
    expect(book.book(HEARTBEAT_KEY)).toBeUndefined();
    book.add("2", "vouching");
    expect(book.book(HEARTBEAT_KEY)).toBe("2");
  });

  test("counts a lost key until it is written or forgotten, wherever it is booked", () => {
    const book = new LeaseBook();
    book.add("1", "data");
    for (const key of ["a", "b", "x/c"]) book.book(key);
    expect(book.lose("1")).toEqual(["a", "b", "x/c"]);
    expect(book.lose("1")).toEqual([]);
    book.add("2", "data");
    expect(book.book("a")).toBe("2");
    expect(book.lostDataCount()).toBe(3);
    book.written("a");
    book.forget("b");
    book.forgetPrefix("x/");
    expect(book.lostDataCount()).toBe(0);
  });

  test("never holds a key twice nor a lease with too many, whatever happens", () => {
    const key = fc.integer({ min: 0, max: 30 }).map((n) => `k${n}`);
    const step = fc.oneof(
      fc.record({ do: fc.constant("book" as const), key }),
      fc.record({ do: fc.constant("forget" as const), key }),
      fc.record({ do: fc.constant("lose" as const), key }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const book = new LeaseBook();
        let next = 0;
        for (const action of steps) {
          if (action.do === "forget") book.forget(action.key);
          else if (action.do === "lose") {
            const [first] = book.leases;
            if (first !== undefined) book.lose(first.id);
          } else if (book.book(action.key) === undefined) {
            book.add(String(next++), "data");
            book.book(action.key);
          }
          const keys = [...book.leases].flatMap((lease) => [...lease.keys]);
          expect(new Set(keys).size).toBe(keys.length);
        }
      }),
    );
  });
});

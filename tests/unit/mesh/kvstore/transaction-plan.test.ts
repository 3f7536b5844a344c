// Cutting commits into transactions.
import { describe, expect, test } from "@jest/globals";
import { HEARTBEAT_KEY } from "../../../../mesh/kvstore/keys.ts";
import type { StoreOperation } from "../../../../mesh/kvstore/store.ts";
import {
  planTransactions,
  TRANSACTION_MAX_BYTES,
  TRANSACTION_MAX_OPERATIONS,
} from "../../../../mesh/kvstore/transaction-plan.ts";

const put = (key: string, bytes = 1): StoreOperation => ({
  kind: "put",
  key,
  value: Buffer.alloc(bytes),
});
const CANARY = "cilium/synced/east/x";

describe("planTransactions()", () => {
  test("keeps order and the bound on operations", () => {
    const operations = Array.from({ length: 300 }, (_, i) => put(`k${i}`));
    const { first, last } = planTransactions(operations);
    expect(first.flat()).toEqual(operations);
    expect(first.map(({ length }) => length)).toEqual([
      TRANSACTION_MAX_OPERATIONS,
      TRANSACTION_MAX_OPERATIONS,
      44,
    ]);
    expect(last).toEqual([]);
  });

  test("keeps the bound on bytes, and lets one large value stand alone", () => {
    const half = TRANSACTION_MAX_BYTES / 2;
    const { first } = planTransactions([
      put("a", half),
      put("b", half),
      put("c", TRANSACTION_MAX_BYTES * 2),
      put("d"),
    ]);
    expect(first.map((group) => group.map(({ key }) => key))).toEqual([["a"], ["b"], ["c"], ["d"]]);
  });

  test("puts what vouches for others last, but deletes it first", () => {
    const operations: StoreOperation[] = [
      put(CANARY),
      put("a"),
      put(HEARTBEAT_KEY),
      { kind: "delete", key: "cilium/synced/east/y" },
    ];
    const { first, last } = planTransactions(operations);
    expect(first.flat().map(({ key }) => key)).toEqual(["a", "cilium/synced/east/y"]);
    expect(last.flat().map(({ key }) => key)).toEqual([CANARY, HEARTBEAT_KEY]);
  });

  test("makes no empty transaction", () => {
    expect(planTransactions([])).toEqual({ first: [], last: [] });
  });
});

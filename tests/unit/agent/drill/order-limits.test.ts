// What canaries may ask for on one node.
import { describe, expect, test } from "@jest/globals";
import { checkOrders } from "../../../../agent/drill/order-limits.ts";
import type { CanaryOrder } from "../../../../mesh/operations/questions.ts";

function order(fields: Partial<CanaryOrder> = {}): CanaryOrder {
  return {
    service: "shop/cart",
    target: "tcp:10.97.0.10:80",
    protocol: "echo",
    perSecond: 500,
    timeoutMs: 1_000,
    keepOne: true,
    ...fields,
  };
}

describe("checkOrders()", () => {
  test("takes 500 requests a second, and a thousand services at a low rate", () => {
    checkOrders([order()]);
    checkOrders(Array.from({ length: 1_000 }, () => order({ perSecond: 0.5 })));
  });

  for (const [what, orders, reason] of [
    ["too many a second", Array.from({ length: 5 }, () => order()), /at most 2000/],
    ["too many that wait", [order({ timeoutMs: 60_000 })], /at most 4000/],
    [
      "UDP connections",
      [order({ target: "udp:10.0.0.1:1", protocol: "connect" })],
      /want protocol/,
    ],
    ["a target by name", [order({ target: "tcp:cart:80" })], /want tcp:ADDRESS:PORT/],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => checkOrders(orders)).toThrow(reason);
    });
  }
});

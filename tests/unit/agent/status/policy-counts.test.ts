import { describe, expect, test } from "@jest/globals";
import { countPolicy } from "../../../../agent/status/policy-counts.ts";
import { app, CART, cartPolicy, startPolicyNode, WEB } from "../../../fakes/policy-node.ts";

describe("countPolicy()", () => {
  test("counts pods by what is enforced at them, entries, drops and lost records", async () => {
    await using node = startPolicyNode();
    node.addPod("cart-1", CART, 12);
    node.addPod("odd-1", CART + 9, 14);
    const bound = { namespace: "shop", name: "soon-1", identity: WEB, namedPorts: [] };
    node.intent.own.pods.put("shop/soon-1", bound);
    node.putPolicy(cartPolicy([{ peers: [{ kind: "pods", selector: app("web") }] }]));
    await node.sync();
    const counts = countPolicy({
      report: node.parts,
      counters: { read: () => new Map([["flowRecordsLost" as const, 7n]]) },
      drops: {
        read: () =>
          new Map([
            ["none" as const, 0n],
            ["policyDenied" as const, 5n],
          ]),
      },
      observe: () => ({ records: 100, overrun: 2, listeners: 1 }),
    });
    expect(counts).toEqual({
      endpoints: { "in-force": 1, closed: 1, waiting: 1 },
      entries: 4,
      drops: new Map([["policy-denied", 5]]),
      flowRecords: { read: 100, overrun: 2, lost: 7 },
    });
  });
});

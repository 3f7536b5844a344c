import { describe, expect, test } from "@jest/globals";
import { awaitOwnNode, ownNodeFrom } from "../../../../agent/desired/own-node.ts";
import { EAST, testNode } from "../../../fakes/agent-cluster.ts";
import { createTestIntent } from "../../../fakes/agent-intent.ts";

const NODE = testNode(EAST, { name: "east-1", addresses: ["172.16.1.1"], podPrefixes: [] });

describe("awaitOwnNode()", () => {
  test("waits for the node's own record", async () => {
    const { own } = createTestIntent(EAST);
    const { signal } = new AbortController();
    const waiting = awaitOwnNode(own, { nodeName: "east-1", signal });
    own.nodes.put("east-2", { ...NODE, name: "east-2" });
    own.nodes.put("east-1", NODE);
    expect(await waiting).toEqual({
      cluster: "east",
      name: "east-1",
      addresses: new Set(["172.16.1.1"]),
    });
  });

  test("is undefined when the wait is ended", async () => {
    const { own } = createTestIntent(EAST);
    const end = new AbortController();
    const waiting = awaitOwnNode(own, { nodeName: "east-1", signal: end.signal });
    end.abort();
    expect(await waiting).toBeUndefined();
  });
});

describe("ownNodeFrom()", () => {
  test("takes no host name for an address", () => {
    const node = { ...NODE, addresses: [{ type: "Hostname" as const, ip: "east-1" }] };
    expect(ownNodeFrom(node).addresses.size).toBe(0);
  });
});

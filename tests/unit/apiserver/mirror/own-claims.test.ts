import { describe, expect, test } from "@jest/globals";
import { createClaims } from "../../../../apiserver/mirror/claims.ts";
import { createOwnClaims } from "../../../../apiserver/mirror/own-claims.ts";
import { createSource } from "../../../../apiserver/source/objects.ts";
import { eventually } from "../../../fakes/eventually.ts";

function node(podPrefix: string) {
  return {
    kind: "Node",
    name: "n1",
    labels: new Map<string, string>(),
    annotations: new Map<string, string>(),
    addresses: [],
    podPrefixes: [podPrefix],
    bootId: "",
  } as const;
}

describe("createOwnClaims()", () => {
  test("ready() waits for the source; run() follows it", async () => {
    const [source, claims, abort] = [createSource(), createClaims(), new AbortController()];
    const own = createOwnClaims({ cluster: "east", source, claims });
    const running = own.run(abort.signal);
    source.Node.put("n1", node("10.1.0.0/24"));
    source.Node.markSynced();
    source.Service.markSynced();
    await own.ready(abort.signal);
    expect(claims.conflict("west", "10.1.0.5")?.owner).toBe("east");
    source.Node.put("n1", node("10.7.0.0/24"));
    await eventually(() => claims.conflict("west", "10.7.0.5")?.owner === "east");
    expect(claims.conflict("west", "10.1.0.5")).toBeUndefined();
    source.Node.delete("n1");
    await eventually(() => claims.size === 0);
    abort.abort();
    await running;
  });
});

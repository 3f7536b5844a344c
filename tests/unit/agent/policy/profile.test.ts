import { describe, expect, test } from "@jest/globals";
import { MAX_ENTRIES, MAX_PEERS } from "../../../../agent/policy/profile.ts";
import { allow, deny, labels, pods, policy, settled, startEngine, tcp, WEB } from "./small-mesh.ts";

const FEW = { entries: 4, peers: 3 };
const TOO_MANY = { kind: "closed", reason: "too-many-entries" };

describe("an endpoint that needs too much", () => {
  test("has the datapath's room, unless it is told otherwise", () => {
    expect([MAX_ENTRIES, MAX_PEERS]).toEqual([16_384, 16_384]);
    const engine = startEngine();
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")], [tcp(1, 65_534)])] }));
    // 30 prefixes for each web, the default of egress, the host.
    for (let i = 0; i < 544; i++) engine.setIdentity(70_000 + i, labels("web"));
    expect(settled(engine)).toHaveLength(546 * 30 + 2);
    engine.setIdentity(71_000, labels("web"));
    expect(engine.take().endpoints.get("cart")).toEqual(TOO_MANY);
  });

  test("is closed once, and opened whole when it needs less", () => {
    const engine = startEngine({ limits: FEW });
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")])] }));
    expect(settled(engine)).toHaveLength(4);
    engine.setIdentity(WEB + 1, labels("web"));
    expect(engine.take().endpoints.get("cart")).toEqual(TOO_MANY);
    expect(engine.entriesOf("cart")).toEqual(new Map());
    engine.setIdentity(WEB + 2, labels("web"));
    expect(engine.take().endpoints.size).toBe(0);
    engine.setIdentity(WEB + 1, undefined);
    expect(engine.take().endpoints.size).toBe(0);
    engine.setIdentity(WEB + 2, undefined);
    expect(engine.take().endpoints.get("cart")).toMatchObject({ kind: "whole" });
    expect(engine.entriesOf("cart")?.size).toBe(4);
  });

  test("a new endpoint is told too", () => {
    const engine = startEngine({ limits: FEW });
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")], [tcp(1, 6)])] }));
    settled(engine);
    engine.setEndpoint("late", { identity: 65_536, namedPorts: [] });
    expect([...engine.take().endpoints]).toEqual([["late", TOO_MANY]]);
  });

  test("what makes room need not be less: a deny leaves out what it covers", () => {
    const engine = startEngine({ limits: FEW });
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")], [tcp(1, 6)])] }));
    settled(engine);
    engine.setPolicy("q", policy({ ingress: [deny([pods("web")])] }));
    expect(settled(engine)).toHaveLength(4);
    expect(engine.stateOf("cart")?.closed).toBeUndefined();
  });

  test("rules that name too many peers close it before anybody is there", () => {
    const engine = startEngine({ limits: FEW });
    const peers = ["a", "b", "c", "d"].map((name) => pods(name));
    engine.setPolicy("p", policy({ ingress: [allow(peers)] }));
    settled(engine);
    expect(engine.stateOf("cart")?.closed).toBe("too-many-peers");
    engine.setPolicy("p", policy({ ingress: [allow(peers.slice(1))] }));
    settled(engine);
    expect(engine.stateOf("cart")?.closed).toBeUndefined();
  });
});

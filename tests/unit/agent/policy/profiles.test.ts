import { describe, expect, test } from "@jest/globals";
import {
  allow,
  app,
  CART,
  cidr,
  labels,
  pods,
  policy,
  settled,
  startEngine,
} from "./small-mesh.ts";

const HOST = "allow ingress 1 0/0/0";
const EGRESS = "allow egress 0 0/0/0";

describe("who has which rules", () => {
  test("an endpoint that moves to another identity has the rules of that one", () => {
    const engine = startEngine();
    engine.setIdentity(70_000, labels("db"));
    engine.setPolicy("p", policy({ subject: app("db"), ingress: [] }));
    expect(settled(engine)).toEqual([EGRESS, "allow ingress 0 0/0/0"]);
    engine.setEndpoint("cart", { identity: 70_000, namedPorts: [] });
    expect(engine.take().endpoints.get("cart")).toMatchObject({ kind: "whole" });
    expect(settled(engine)).toEqual([EGRESS, HOST]);
  });

  test("endpoints of one identity with other ports are about the same policies", () => {
    const engine = startEngine();
    const namedPorts = [{ name: "api", port: 80, protocol: "TCP" }] as const;
    engine.setEndpoint("other", { identity: CART, namedPorts });
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")])] }));
    expect(settled(engine, "other")).toEqual(settled(engine, "cart"));
    engine.setEndpoint("cart", undefined);
    engine.setPolicy("p", policy({ ingress: [] }));
    expect(settled(engine, "other")).toEqual([EGRESS, HOST]);
  });

  test("one that comes, goes and comes again between two takes is new", () => {
    const engine = startEngine();
    settled(engine);
    engine.setEndpoint("cart", undefined);
    engine.setEndpoint("cart", { identity: CART, namedPorts: [] });
    expect(engine.take().endpoints.get("cart")).toMatchObject({ kind: "whole" });
    engine.setEndpoint("cart", undefined);
    expect(engine.take().endpoints.size).toBe(0);
  });

  test("prefixes are numbered while a rule that names them has a subject here", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ egress: [allow([cidr("10.0.0.0/8")])] }));
    settled(engine);
    expect(engine.rows()).toHaveLength(1);
    engine.setEndpoint("cart", undefined);
    settled(engine);
    expect(engine.rows()).toEqual([]);
    engine.setEndpoint("cart", { identity: CART, namedPorts: [] });
    settled(engine);
    expect(engine.rows()).toHaveLength(1);
    engine.setIdentity(CART, labels("web"));
    settled(engine);
    expect(engine.rows()).toEqual([]);
  });

  test("an endpoint that comes with a policy is told of neither before the prefixes' rows", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ egress: [allow([cidr("10.0.0.0/8")])] }));
    expect(engine.take().endpoints.size).toBe(0);
    expect(engine.stateOf("cart")).toBeUndefined();
    // What comes meanwhile does not keep them waiting, but waits itself.
    engine.setPolicy("q", policy({ egress: [allow([cidr("11.0.0.0/8")])] }));
    engine.take();
    expect(engine.stateOf("cart")?.policies).toEqual(["p"]);
    engine.take();
    expect(engine.stateOf("cart")?.policies).toEqual(["p", "q"]);
  });
});

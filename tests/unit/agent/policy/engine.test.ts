import { describe, expect, test } from "@jest/globals";
import {
  allow,
  app,
  CART,
  cidr,
  deny,
  labels,
  pods,
  policy,
  portNamed,
  REMOTE_WEB,
  settled,
  startEngine,
  tcp,
  WEB,
} from "./small-mesh.ts";

const CIDR = 2 ** 24;
const EVERYTHING = ["allow egress 0 0/0/0", "allow ingress 0 0/0/0"];
const EGRESS = "allow egress 0 0/0/0";
const HOST = "allow ingress 1 0/0/0";

describe("what a policy becomes", () => {
  test("without any, everything is allowed", () => {
    expect(settled(startEngine())).toEqual(EVERYTHING);
  });

  test("where deny is the default: what rules allow, and the own host", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")], [tcp(8000, 8001)])] }));
    expect(settled(engine)).toEqual([
      EGRESS,
      HOST,
      `allow ingress ${REMOTE_WEB} 6/8000/15`,
      `allow ingress ${WEB} 6/8000/15`,
    ]);
  });

  test("denies alone stand beside the default", () => {
    const engine = startEngine();
    const defaultDeny = { ingress: false, egress: false };
    const egress = [deny([{ kind: "entity", entity: "world" }]), allow([pods("web")])];
    engine.setPolicy("p", policy({ egress, defaultDeny }));
    expect(settled(engine)).toEqual([...EVERYTHING, "deny egress 13 0/0/0"]);
  });

  test("a deny of everybody leaves nothing, but the host's plane is its own", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ ingress: [allow(), deny()], egress: [] }));
    expect(settled(engine)).toEqual([HOST, "deny ingress 0 0/0/0"]);
    engine.setPolicy("p", policy({ ingress: [deny([{ kind: "entity", entity: "host" }])] }));
    expect(settled(engine)).toEqual([EGRESS, "deny ingress 1 0/0/0"]);
  });

  test("it is about its subjects only", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ subject: app("web"), ingress: [] }));
    expect(settled(engine)).toEqual(EVERYTHING);
    engine.setIdentity(CART, labels("web"));
    expect(settled(engine)).toEqual([EGRESS, HOST]);
  });

  test("names of ports are the subject's by ingress, the peer's by egress", () => {
    const engine = startEngine();
    engine.setEndpoint("cart", {
      identity: CART,
      namedPorts: [{ name: "api", port: 9000, protocol: "TCP" }],
    });
    const ports = [portNamed("api")];
    engine.setPolicy("p", policy({ ingress: [allow([], ports)], egress: [allow([], ports)] }));
    engine.setNamedPorts("web-1", {
      identity: WEB,
      ports: [{ name: "api", port: 9001, protocol: "TCP" }],
    });
    expect(settled(engine)).toEqual([HOST]);
    engine.setPolicy("p", policy({ ingress: [allow(undefined, ports)], egress: [] }));
    expect(settled(engine)).toEqual(["allow ingress 0 6/9000/16", HOST]);
    engine.setPolicy("p", policy({ egress: [allow(undefined, ports)], ingress: [] }));
    expect(settled(engine)).toEqual([`allow egress ${WEB} 6/9001/16`, HOST]);
    engine.setNamedPorts("web-1", undefined);
    expect(settled(engine)).toEqual([HOST]);
  });
});

describe("what is taken", () => {
  test("one identity more is its entries, and nothing when nobody means it", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")], [tcp(80)])] }));
    settled(engine);
    engine.setIdentity(WEB + 1, labels("web"));
    engine.setIdentity(WEB + 2, labels("db"));
    const { endpoints } = engine.take();
    expect([...endpoints]).toEqual([
      [
        "cart",
        {
          kind: "changed",
          put: [
            {
              identity: WEB + 1,
              direction: "ingress",
              protocol: 6,
              port: 80,
              portPrefixBits: 16,
              verdict: "allow",
              rule: 1,
            },
          ],
          deleted: [],
        },
      ],
    ]);
    expect(engine.take().endpoints.size).toBe(0);
  });

  test("the same policy again is no change", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")])] }));
    settled(engine);
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")])] }));
    engine.setIdentity(WEB, labels("web"));
    engine.setEndpoint("cart", { identity: CART, namedPorts: [] });
    expect(engine.take().endpoints.size).toBe(0);
  });

  test("endpoints that have everything in common share it; a new one gets all of it", () => {
    const engine = startEngine();
    settled(engine);
    engine.setEndpoint("cart-2", { identity: CART, namedPorts: [] });
    const { endpoints } = engine.take();
    expect([...endpoints.keys()]).toEqual(["cart-2"]);
    expect(endpoints.get("cart-2")).toEqual({
      kind: "whole",
      entries: engine.entriesOf("cart"),
    });
    engine.setEndpoint("cart", undefined);
    engine.setPolicy("p", policy({ ingress: [] }));
    expect([...engine.take().endpoints.keys()]).toEqual(["cart-2"]);
    expect(engine.entriesOf("cart")).toBeUndefined();
  });

  test("an endpoint whose identity has no labels yet is closed", () => {
    const engine = startEngine();
    engine.setEndpoint("new", { identity: 70_000, namedPorts: [] });
    const closed = { kind: "closed", reason: "unknown-identity" };
    expect(engine.take().endpoints.get("new")).toEqual(closed);
    engine.setIdentity(70_000, labels("new"));
    expect(engine.take().endpoints.get("new")).toMatchObject({ kind: "whole" });
    engine.setIdentity(70_000, undefined);
    expect(engine.take().endpoints.get("new")).toEqual(closed);
    expect(engine.entriesOf("new")).toEqual(new Map());
  });

  test("a prefix has its row before any rule tells it apart, and loses it afterwards", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ egress: [allow([cidr("10.0.0.0/8")])] }));
    const first = engine.take();
    expect([first.endpoints.size, first.rows.put.length, first.unfinished]).toEqual([0, 1, true]);
    expect(settled(engine)).toContain(`allow egress ${CIDR} 0/0/0`);

    const narrower = [allow([cidr("10.0.0.0/8", "10.1.0.0/16")])];
    engine.setPolicy("p", policy({ egress: narrower }));
    const [rows, rules] = [engine.take(), engine.take()];
    // As long as the old rule holds, what is new is a part of what it allows.
    expect(rows.endpoints.get("cart")).toMatchObject({ put: [{ identity: CIDR + 1 }] });
    expect(rules.endpoints.get("cart")).toMatchObject({ deleted: [{ identity: CIDR + 1 }] });

    engine.setPolicy("p", undefined);
    const gone = engine.take();
    expect(gone.rows.deleted.map(({ prefix }) => prefix)).toEqual(["10.0.0.0/8", "10.1.0.0/16"]);
    expect(gone.unfinished).toBe(true);
    expect(engine.take().unfinished).toBe(false);
  });

  test("nothing is put off for a prefix that no pod of this node is told of", () => {
    const engine = startEngine();
    const subject = app("elsewhere");
    engine.setPolicy("p", policy({ subject, egress: [allow([cidr("10.0.0.0/8")])] }));
    expect(engine.take()).toMatchObject({ rows: { put: [] }, unfinished: false });
  });

  test("rows that an earlier agent left keep their numbers, and nothing is put off", () => {
    const adoptedRows = [["10.0.0.0/8", CIDR + 7]] as const;
    const engine = startEngine({ adoptedRows });
    engine.setPolicy("p", policy({ egress: [allow([cidr("10.0.0.0/8")])], ingress: [] }));
    const { endpoints, rows, unfinished } = engine.take();
    const kept = { prefix: "10.0.0.0/8", identity: CIDR + 7 };
    expect([rows.put, rows.deleted, unfinished]).toEqual([[kept], [], false]);
    expect([...(engine.entriesOf("cart")?.values() ?? [])]).toContainEqual(
      expect.objectContaining({ identity: CIDR + 7 }),
    );
    expect(endpoints.size).toBe(1);
  });

  test("a policy with a prefix that is none changes nothing", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ egress: [] }));
    const broken = policy({ egress: [allow([cidr("10.0.0.1/8")])] });
    expect(() => engine.setPolicy("p", broken)).toThrow(/bits are set behind the length/);
    expect(settled(engine)).toEqual(["allow ingress 0 0/0/0"]);
  });
});

describe("what can be asked", () => {
  test("the state of an endpoint", () => {
    const engine = startEngine();
    engine.setPolicy("b", policy({ ingress: [] }));
    engine.setPolicy("a", policy({ ingress: [allow([pods("web")])] }));
    settled(engine);
    expect(engine.stateOf("cart")).toEqual({
      identity: CART,
      defaultDeny: { ingress: true, egress: false },
      closed: undefined,
      entries: 4,
      policies: ["a", "b"],
    });
    expect(engine.stateOf("nobody")).toBeUndefined();
  });

  test("which rule a number stands for, also when the policy is gone", () => {
    const engine = startEngine({ firstRuleNumber: 1_000 });
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")])] }));
    settled(engine);
    engine.setPolicy("p", undefined);
    expect(engine.ruleOf(1_000)).toEqual([{ policy: "p", path: "spec.ingress[0]" }]);
    expect([engine.ruleOf(0), engine.ruleOf(1_001)]).toEqual([[], []]);
  });

  test("what each policy costs, whether it holds or not", () => {
    const engine = startEngine({ limits: { entries: 5, peers: 10 } });
    engine.setPolicy("cheap", policy({ ingress: [allow([pods("web")], [tcp(80)])] }));
    engine.setPolicy("dear", policy({ ingress: [allow([pods("web")], [tcp(1, 6)])] }));
    settled(engine);
    expect(engine.stateOf("cart")?.closed).toBe("too-many-entries");
    expect(engine.costOf("cart")).toEqual(
      new Map([
        ["cheap", 2],
        ["dear", 8],
      ]),
    );
  });
});

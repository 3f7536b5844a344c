import { describe, expect, test } from "@jest/globals";
import type { PolicyAnswer, PolicyEngine } from "../../../../agent/policy/engine.ts";
import {
  allow,
  deny,
  pods,
  policy,
  REMOTE_WEB,
  settled,
  startEngine,
  tcp,
  WEB,
} from "./small-mesh.ts";

function ask(engine: PolicyEngine, identity: number, port = 80): PolicyAnswer | undefined {
  settled(engine);
  return engine.explain({ endpoint: "cart", direction: "ingress", identity, protocol: 6, port });
}

const speaking = (answer: PolicyAnswer | undefined): string[] =>
  (answer?.rules ?? []).map(({ policy: of, path, verdict }) => `${verdict} ${of} ${path}`);

describe("why a packet passes or does not", () => {
  test("no policy: the default", () => {
    expect(ask(startEngine(), WEB)).toEqual({
      verdict: "allow",
      because: "default-allow",
      rules: [],
    });
  });

  test("no rule that allows it; the own host needs none", () => {
    const engine = startEngine();
    engine.setPolicy("p", policy({ ingress: [allow([pods("web")], [tcp(443)])] }));
    expect(ask(engine, WEB)).toMatchObject({ verdict: "deny", because: "default-deny" });
    expect(ask(engine, 1)).toMatchObject({ verdict: "allow", because: "host" });
    expect(ask(engine, 0)).toMatchObject({ verdict: "deny", because: "default-deny" });
  });

  test("all rules that speak, the one that decides first", () => {
    const engine = startEngine();
    const everybody = [{ kind: "entity", entity: "all" }] as const;
    const mesh = [{ kind: "pods", selector: [] }] as const;
    engine.setPolicy("a", policy({ ingress: [allow(everybody), allow(mesh, [tcp(80, 81)])] }));
    engine.setPolicy("b", policy({ ingress: [allow([pods("web")]), allow(mesh, [tcp(80)])] }));
    engine.setPolicy("c", policy({ ingress: [deny([pods("cart")])] }));
    expect(speaking(ask(engine, REMOTE_WEB))).toEqual([
      "allow b spec.ingress[0]",
      "allow b spec.ingress[1]",
      "allow a spec.ingress[1]",
      "allow a spec.ingress[0]",
    ]);
    engine.setPolicy("d", policy({ ingress: [deny(everybody, [tcp(80)])] }));
    const answer = ask(engine, REMOTE_WEB);
    expect(answer).toMatchObject({ verdict: "deny", because: "rule" });
    expect(answer?.rules[0]).toEqual({
      policy: "d",
      path: "spec.ingress[0]",
      number: 6,
      verdict: "deny",
      identity: 0,
      protocol: 6,
      port: 80,
      portPrefixBits: 16,
    });
  });

  test("a rule that says the same twice is named once", () => {
    const engine = startEngine();
    const both = [pods("web"), { kind: "pods", selector: [] } as const];
    engine.setPolicy("a", policy({ ingress: [allow(both, [tcp(80), tcp(1, 100)])] }));
    expect(ask(engine, WEB)?.rules).toMatchObject([{ identity: WEB, portPrefixBits: 16 }]);
  });

  test("a closed endpoint says why, and who is not there nothing", () => {
    const engine = startEngine();
    engine.setIdentity(65_536, undefined);
    expect(ask(engine, WEB)).toEqual({ verdict: "deny", because: "unknown-identity", rules: [] });
    const packet = { direction: "egress", identity: WEB, protocol: 6, port: 80 } as const;
    expect(engine.explain({ endpoint: "nobody", ...packet })).toBeUndefined();
  });
});

import { describe, expect, test } from "@jest/globals";
import { parsePacket, policyTraceCommand } from "../../../../mesh/commands/policy-trace.ts";
import { runCommand, startAgentApi } from "../../../fakes/agent-api.ts";
import { TRACE } from "../../../fakes/agent-policy-answers.ts";

const WORDS = ["--from", "shop/web-1@west", "--to", "shop/cart-1@east", "--port", "8080/tcp"];

describe("policyTraceCommand", () => {
  test("asks at the end that is here, of policies and datapath, and says what it cannot see", async () => {
    const asked: unknown[] = [];
    const trace = (request: unknown): typeof TRACE => {
      asked.push(request);
      return TRACE;
    };
    await using api = await startAgentApi({ policy: { trace } });
    const { status, text } = await runCommand(policyTraceCommand, WORDS, api);
    expect(asked).toEqual([
      {
        namespace: "shop",
        name: "cart-1",
        direction: "ingress",
        peerPod: { cluster: "west", namespace: "shop", name: "web-1" },
        peerAddress: "",
        protocol: "TCP",
        port: 8080,
      },
    ]);
    expect(status).toBe(0);
    expect(text.split("\n").slice(0, 4)).toEqual([
      "shop/web-1@west → shop/cart-1@east 8080/TCP: allowed, as far as can be seen here",
      "",
      "egress at shop/web-1@west: not a pod of the nodes that were asked",
      "",
    ]);
  });

  test("returns 1, and JSON says the same, when the policies deny", async () => {
    const denied = { verdict: "deny", why: "no rule allows it", rule: null };
    const trace = (): typeof TRACE => ({ ...TRACE, policy: denied });
    await using api = await startAgentApi({ policy: { trace } });
    const words = ["--from", "203.0.113.9", ...WORDS.slice(2), "--output", "json"];
    const { status, text } = await runCommand(policyTraceCommand, words, api);
    expect(status).toBe(1);
    expect(JSON.parse(text)).toMatchObject({
      packet: "203.0.113.9 → shop/cart-1@east 8080/TCP",
      allowed: false,
      ends: [
        { direction: "egress", trace: null, why: "no pod, and no policy" },
        { direction: "ingress", differs: true, trace: { policy: denied } },
      ],
    });
  });

  test("does not take the pod of another cluster for the one that is meant", async () => {
    await using api = await startAgentApi();
    const words = ["--from", "203.0.113.9", "--to", "shop/cart-1@west", "--port", "1/UDP"];
    const { status, text } = await runCommand(policyTraceCommand, words, api);
    expect(text).toContain("ingress at shop/cart-1@west: not a pod of the nodes that were asked");
    expect([status, text.split("\n")[0]]).toEqual([
      1,
      "203.0.113.9 → shop/cart-1@west 1/UDP: not known, as far as can be seen here",
    ]);
  });
});

describe("parsePacket()", () => {
  const good = { from: "a/b@c", to: "192.0.2.1", port: "80/TCP" };
  const cases: [object, string][] = [
    [{ from: "192.0.2.2" }, "want a pod at one end"],
    [{ from: "a/b" }, 'Cannot use --from "a/b"'],
    [{ to: undefined }, 'Cannot use --to ""'],
    [{ port: "80" }, 'Cannot use --port "80"'],
    [{ port: "65536/TCP" }, "Cannot use --port"],
    [{ port: "256/ICMP" }, "Cannot use --port"],
    [{ port: "80/GRE" }, "Cannot use --port"],
  ];
  for (const [change, message] of cases) {
    test(`refuses ${JSON.stringify(change)}`, () => {
      expect(() => parsePacket({ ...good, ...change })).toThrow(message);
    });
  }
});

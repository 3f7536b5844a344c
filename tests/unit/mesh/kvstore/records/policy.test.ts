import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Policy, PolicyRule, TrafficRule } from "../../../../../mesh/core/policy.ts";
import {
  closedPolicy,
  encodePolicy,
  parsePolicy,
  parsePolicyOrClosed,
  policyName,
  samePolicy,
} from "../../../../../mesh/kvstore/records/policy.ts";
import { damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const CART = [{ key: "k8s:app", operator: "In", values: ["cart"] }] as const;
const TRAFFIC: TrafficRule = {
  path: "spec.ingress[0]",
  verdict: "allow",
  peers: [
    { kind: "pods", selector: CART },
    { kind: "entity", entity: "world" },
    { kind: "cidr", cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] },
  ],
  ports: [
    { protocol: "TCP", first: 80, last: 90 },
    { protocol: "ANY", name: "dns" },
    { protocol: "ICMPv6", type: 128 },
  ],
};
const RULE: PolicyRule = {
  path: "spec",
  subject: CART,
  defaultDeny: { ingress: true, egress: false },
  ingress: [TRAFFIC],
  egress: [{ path: "spec.egress[0]", verdict: "deny", peers: undefined, ports: undefined }],
};
const POLICY: Policy = {
  kind: "CiliumNetworkPolicy",
  namespace: "shop",
  name: "web",
  rules: [RULE],
  refusals: [{ path: "spec.egress[1]", message: "It cannot be honoured" }],
};
const NAME = policyName(POLICY);

function withRule(change: object): Buffer {
  return Buffer.from(JSON.stringify({ ...POLICY, rules: [{ ...RULE, ...change }] }));
}
function withTraffic(change: object): Buffer {
  return withRule({ ingress: [{ ...TRAFFIC, ...change }] });
}

describe("parsePolicy()", () => {
  test("reads what was written, also nobody and nothing", () => {
    expect(parsePolicy(NAME, encodePolicy(POLICY))).toEqual(POLICY);
    const none = {
      ...POLICY,
      rules: [{ ...RULE, ingress: [{ ...TRAFFIC, peers: [], ports: [] }] }],
    };
    expect(parsePolicy(NAME, encodePolicy(none))).toEqual(none);
    const wide = { ...POLICY, kind: "CiliumClusterwideNetworkPolicy", namespace: "" } as const;
    expect(parsePolicy("CiliumClusterwideNetworkPolicy/web", encodePolicy(wide))).toEqual(wide);
  });

  test("makes selectors canonical", () => {
    const subject = [
      { key: "k8s:b", operator: "Exists" },
      { key: "k8s:a", operator: "In", values: ["2", "1", "2"] },
    ];
    expect(parsePolicy(NAME, withRule({ subject })).rules[0]?.subject).toEqual([
      { key: "k8s:a", operator: "In", values: ["1", "2"] },
      { key: "k8s:b", operator: "Exists", values: [] },
    ]);
  });

  test("takes a missing default for closed", () => {
    const { rules } = parsePolicy(NAME, withRule({ defaultDeny: undefined }));
    expect(rules[0]?.defaultDeny).toEqual({ ingress: true, egress: true });
  });

  const of = (change: object): Buffer => Buffer.from(JSON.stringify({ ...POLICY, ...change }));
  const selector = (key: string, operator: string, values?: unknown) => ({
    peers: [{ kind: "pods", selector: [{ key, operator, values }] }],
  });
  const refused: [string, Buffer, string][] = [
    ["another name than its key's", of({ name: "db" }), '"name" is "db", want "web"'],
    ["another namespace", of({ namespace: "x" }), '"namespace" is "x"'],
    ["another kind", of({ kind: "NetworkPolicy" }), '"kind" is "NetworkPolicy"'],
    ["too many rules", of({ rules: Array(1_001).fill(RULE) }), "a list of 1001"],
    ["a reason in two lines", of({ refusals: [{ path: "", message: "a\nb" }] }), "message"],
    ["a rule without a subject", withRule({ subject: undefined }), '"rules.0.subject" is missing'],
    ["another verdict", withTraffic({ verdict: "log" }), '"rules.0.ingress.0.verdict" is "log"'],
    ["another peer", withTraffic({ peers: [{ kind: "fqdn" }] }), '"fqdn"'],
    [
      "an entity that nobody knows",
      withTraffic({ peers: [{ kind: "entity", entity: "moon" }] }),
      '"moon"',
    ],
    [
      "a prefix with host bits",
      withTraffic({ peers: [{ kind: "cidr", cidr: "10.0.0.1/8" }] }),
      '"10.0.0.1/8"',
    ],
    [
      "a prefix in other words",
      withTraffic({ peers: [{ kind: "cidr", cidr: "FD00::/8" }] }),
      '"FD00::/8"',
    ],
    [
      "an exception outside",
      withTraffic({ peers: [{ kind: "cidr", cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] }] }),
      "want prefixes within 10.0.0.0/8",
    ],
    [
      "an exception that is wider",
      withTraffic({ peers: [{ kind: "cidr", cidr: "10.0.0.0/8", except: ["0.0.0.0/0"] }] }),
      "want prefixes within 10.0.0.0/8",
    ],
    ["a key without a source", withTraffic(selector("app", "Exists")), '"source:key"'],
    ["another operator", withTraffic(selector("k8s:app", "Gt")), '"Gt"'],
    ["values beside Exists", withTraffic(selector("k8s:app", "Exists", ["a"])), "none beside"],
    [
      "a range that goes back",
      withTraffic({ ports: [{ protocol: "TCP", first: 2, last: 1 }] }),
      "a whole number from 2 to 65535",
    ],
    [
      "a port without a number",
      withTraffic({ ports: [{ protocol: "TCP" }] }),
      '.first" is missing',
    ],
    ["another protocol", withTraffic({ ports: [{ protocol: "GRE" }] }), '"GRE"'],
    [
      "an ICMP type of 256",
      withTraffic({ ports: [{ protocol: "ICMP", type: 256 }] }),
      '.type" is 256',
    ],
  ];
  test.each(refused)("refuses %s", (_, value, message) => {
    expect(() => parsePolicy(NAME, value)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      }),
    );
  });

  test.each(["Policy/a/b", "NetworkPolicy/a", "NetworkPolicy/a/b/c", "NetworkPolicy/A/b", "x"])(
    "refuses the key %s",
    (name) => {
      expect(() => parsePolicy(name, encodePolicy(POLICY))).toThrow("of a known kind in its key");
    },
  );

  test("parses or refuses, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(fc.constant(encodePolicy(POLICY))), (bytes) => {
        const parsed = parsedOrRefused(() => parsePolicy(NAME, bytes));
        expect(parsed === undefined || parsed.name === "web").toBe(true);
      }),
    );
  });
});

describe("encodePolicy()", () => {
  test("refuses what no reader would believe", () => {
    expect(() => encodePolicy({ ...POLICY, rules: Array<PolicyRule>(1_001).fill(RULE) })).toThrow(
      "a list of 1001",
    );
    const values = Array.from({ length: 9_000 }, (_, i) => `${"v".repeat(200)}${i}`);
    const subject = [{ key: "k8s:a", operator: "In" as const, values }];
    expect(() => encodePolicy({ ...POLICY, rules: [{ ...RULE, subject }] })).toThrow(
      "want at most 1572864",
    );
  });
});

describe("parsePolicyOrClosed()", () => {
  const broken = Buffer.from("{");

  test("leaves to its reader what the reader knows", () => {
    expect(() => parsePolicyOrClosed(NAME, { value: broken, isKnown: true })).toThrow(
      "Cannot use policy",
    );
    const value = encodePolicy(POLICY);
    expect(parsePolicyOrClosed(NAME, { value, isKnown: true })).toEqual(POLICY);
  });

  test("closes the namespace of what was never read, against everybody's allows", () => {
    const closed = parsePolicyOrClosed(NAME, { value: broken, isKnown: false });
    const deny = { path: "", verdict: "deny", peers: undefined, ports: undefined };
    expect(closed).toEqual({
      kind: "CiliumNetworkPolicy",
      namespace: "shop",
      name: "web",
      rules: [
        {
          path: "",
          subject: [{ key: "k8s:io.kubernetes.pod.namespace", operator: "In", values: ["shop"] }],
          defaultDeny: { ingress: true, egress: true },
          ingress: [deny],
          egress: [deny],
        },
      ],
      refusals: [{ path: "", message: expect.stringContaining('it closes every pod of "shop"') }],
    });
    expect(parsePolicy(NAME, encodePolicy(closed))).toEqual(closed);
  });

  test("refuses a key that names no policy", () => {
    expect(() => parsePolicyOrClosed("x", { value: broken, isKnown: false })).toThrow("known kind");
  });
});

describe("closedPolicy()", () => {
  test("denies nothing for a kind that cannot deny, and is about everybody without a namespace", () => {
    const plain = closedPolicy({ kind: "NetworkPolicy", namespace: "a", name: "b" }, "Broken");
    expect(plain.rules[0]?.ingress).toEqual([]);
    const wide = { kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: "b" } as const;
    const closed = closedPolicy(wide, "x".repeat(2_000));
    expect(closed.rules[0]?.subject).toEqual([]);
    expect(() => encodePolicy(closed)).not.toThrow();
  });
});

test("samePolicy() compares all of it", () => {
  expect(samePolicy(POLICY, parsePolicy(NAME, encodePolicy(POLICY)))).toBe(true);
  expect(samePolicy(POLICY, { ...POLICY, refusals: [] })).toBe(false);
});

// Random policies, identities, endpoints and packets, from pools so small that they meet.
import fc from "fast-check";
import type { NamedPort } from "../../../../agent/policy/engine.ts";
import { parseAddress, prefixFromAddress } from "../../../../mesh/core/address.ts";
import {
  POLICY_ENTITIES,
  type Policy,
  type PolicyPeer,
  type PolicyRule,
  type PortMatch,
  type TrafficRule,
} from "../../../../mesh/core/policy.ts";
import { createSelector, type LabelSelector } from "../../../../mesh/core/selector.ts";
import type { Packet } from "./naive-verdict.ts";

const CLUSTER = "k8s:io.cilium.k8s.policy.cluster";
const OWN_PODS = [65_536, 65_600, 65_601, 131_071];
const REMOTE_PODS = [131_072, 131_073, 196_608];
const PODS = [...OWN_PODS, ...REMOTE_PODS];
const RESERVED = [0, 1, 2, 3, 4, 5, 6, 7, 8, 102];
const ADDRESSES = [
  "10.0.0.1",
  "10.1.0.1",
  "10.1.2.3",
  "10.1.2.4",
  "192.0.2.1",
  "0.0.0.1",
  "255.255.255.255",
  "fd00::1",
  "fd00:1::1",
  "::1",
  "::fffe:0:1",
  "2001:db8::1",
];
const PORTS = [0, 1, 53, 79, 80, 81, 443, 8080, 8081, 65_535];
const NAMES = ["web", "dns", "admin"];

const subset = <T>(values: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...values]);

const labels = fc.record({
  app: fc.constantFrom("cart", "db", "web"),
  tier: fc.constantFrom("front", "back", undefined),
  other: fc.constantFrom("cart", "db", undefined),
});

function textsOf(
  identity: number,
  { app, tier, other }: { app: string; tier: string | undefined; other: string | undefined },
): string[] {
  const cluster = identity < 131_072 ? "east" : identity < 196_608 ? "west" : "north";
  return [
    `k8s:app=${app}`,
    ...(tier === undefined ? [] : [`k8s:tier=${tier}`]),
    ...(other === undefined ? [] : [`container:app=${other}`]),
    `${CLUSTER}=${cluster}`,
  ];
}

const requirement = fc.oneof(
  fc.record({
    key: fc.constantFrom("k8s:app", "any:app", "container:app"),
    operator: fc.constantFrom("In", "NotIn", "Exists", "DoesNotExist"),
    values: subset(["cart", "db", "web"]),
  }),
  fc.record({
    key: fc.constantFrom("k8s:tier", "any:tier"),
    operator: fc.constantFrom("In", "NotIn", "Exists", "DoesNotExist"),
    values: subset(["front", "back"]),
  }),
  fc.record({
    key: fc.constant(CLUSTER),
    operator: fc.constantFrom("In", "In", "In", "Exists", "NotIn"),
    values: fc.oneof(fc.constant(["east"]), subset(["east", "west", "north"])),
  }),
) as fc.Arbitrary<LabelSelector[number]>;

const selector = fc
  .array(requirement, { maxLength: 3 })
  .map((all) =>
    createSelector(
      all.map(({ key, operator, values }) =>
        operator === "Exists" || operator === "DoesNotExist"
          ? { key, operator, values: [] }
          : { key, operator, values },
      ),
    ),
  );

const prefix = fc
  .tuple(fc.constantFrom(...ADDRESSES), fc.constantFrom(0, 1, 4, 8, 16, 24, 31, 32, 48, 96, 128))
  .map(([text, length]) => {
    const address = parseAddress(text);
    return prefixFromAddress(address, Math.min(length, address.bytes.length * 8));
  });

const cidr = fc.tuple(prefix, fc.array(prefix, { maxLength: 2 })).map(([outer, others]) => ({
  kind: "cidr" as const,
  cidr: outer.text,
  // Where they do not lie in it they are the same address, longer.
  except: others
    .filter(({ family, length }) => family === outer.family && length > outer.length)
    .filter(({ bytes }) => {
      const address = { family: outer.family, bytes, text: "" };
      return prefixFromAddress(address, outer.length).text === outer.text;
    })
    .map(({ text }) => text),
}));

const peer: fc.Arbitrary<PolicyPeer> = fc.oneof(
  { weight: 3, arbitrary: selector.map((found) => ({ kind: "pods" as const, selector: found })) },
  { weight: 2, arbitrary: cidr },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...POLICY_ENTITIES)
      .map((entity) => ({ kind: "entity" as const, entity })),
  },
);

const protocol = fc.constantFrom("TCP", "TCP", "UDP", "SCTP", "ANY");
const portMatch: fc.Arbitrary<PortMatch> = fc.oneof(
  fc
    .tuple(protocol, fc.constantFrom(...PORTS), fc.constantFrom(...PORTS), fc.boolean())
    .map(([name, a, b, isRange]) => ({
      protocol: name,
      first: isRange ? Math.min(a, b) : a,
      last: isRange ? Math.max(a, b) : a,
    })),
  fc.record({ protocol, name: fc.constantFrom(...NAMES) }),
  fc.record({
    protocol: fc.constantFrom("ICMP" as const, "ICMPv6" as const),
    type: fc.constantFrom(0, 1, 8, 128),
  }),
) as fc.Arbitrary<PortMatch>;

const traffic = (direction: string): fc.Arbitrary<Omit<TrafficRule, "path">> =>
  fc.record({
    verdict: fc.constantFrom("allow", "allow", "deny"),
    peers: fc.option(fc.array(peer, { maxLength: 2 }), { nil: undefined, freq: 4 }),
    ports: fc.option(fc.array(portMatch, { maxLength: 2 }), { nil: undefined, freq: 2 }),
    direction: fc.constant(direction),
  }) as fc.Arbitrary<Omit<TrafficRule, "path">>;

const rule = fc.record({
  subject: fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: selector }),
  defaultDeny: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
  ingress: fc.array(traffic("ingress"), { maxLength: 3 }),
  egress: fc.array(traffic("egress"), { maxLength: 3 }),
});

const withPath =
  (path: string) =>
  (found: Omit<TrafficRule, "path">, i: number): TrafficRule => ({
    ...found,
    path: `${path}[${i}]`,
  });

const policy: fc.Arbitrary<Policy> = fc
  .array(rule, { minLength: 1, maxLength: 2 })
  .map((rules) => ({
    kind: "CiliumNetworkPolicy" as const,
    namespace: "shop",
    name: "any",
    refusals: [],
    rules: rules.map((found, i): PolicyRule => ({
      ...found,
      path: `specs[${i}]`,
      ingress: found.ingress.map(withPath(`specs[${i}].ingress`)),
      egress: found.egress.map(withPath(`specs[${i}].egress`)),
    })),
  }));

const namedPorts: fc.Arbitrary<NamedPort[]> = fc.array(
  fc.record({
    name: fc.constantFrom(...NAMES),
    port: fc.constantFrom(53, 80, 8080),
    protocol: fc.constantFrom("TCP", "UDP"),
  }),
  { maxLength: 2 },
);

/** One change of an engine's inputs; undefined takes something back. */
export type Update =
  | { readonly kind: "policy"; readonly key: string; readonly value: Policy | undefined }
  | { readonly kind: "identity"; readonly key: number; readonly value: string[] | undefined }
  | {
      readonly kind: "ports";
      readonly key: string;
      readonly value: { identity: number; ports: NamedPort[] } | undefined;
    }
  | {
      readonly kind: "endpoint";
      readonly key: string;
      readonly value: { identity: number; namedPorts: NamedPort[] } | undefined;
    }
  | { readonly kind: "take" };

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 4 });

export const anyUpdate: fc.Arbitrary<Update> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("policy" as const),
      key: fc.constantFrom("p1", "p2", "p3", "p4"),
      value: maybe(policy),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...PODS), maybe(labels)).map(([key, value]) => ({
      kind: "identity" as const,
      key,
      value: value && textsOf(key, value),
    })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("ports" as const),
      key: fc.constantFrom("o1", "o2", "o3"),
      value: maybe(fc.record({ identity: fc.constantFrom(...PODS), ports: namedPorts })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("endpoint" as const),
      key: fc.constantFrom("e1", "e2", "e3"),
      value: maybe(fc.record({ identity: fc.constantFrom(...OWN_PODS), namedPorts })),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "take" as const }) },
);

/** Everybody has labels and everything has begun: without this most worlds would be empty. */
export const anyBeginning: fc.Arbitrary<Update[]> = fc
  .tuple(
    fc.array(labels, { minLength: PODS.length, maxLength: PODS.length }),
    fc.array(policy, { maxLength: 3 }),
    fc.array(namedPorts, { minLength: 2, maxLength: 2 }),
  )
  .map(([all, policies, ports]): Update[] => [
    ...all.map((value, i): Update => {
      const key = PODS[i] ?? 0;
      return { kind: "identity", key, value: textsOf(key, value) };
    }),
    ...ports.map((namedOnes, i): Update => {
      const identity = OWN_PODS[i] ?? 0;
      return { kind: "endpoint", key: `e${i + 1}`, value: { identity, namedPorts: namedOnes } };
    }),
    ...ports.map((namedOnes, i): Update => {
      const identity = REMOTE_PODS[i] ?? 0;
      return { kind: "ports", key: `o${i + 1}`, value: { identity, ports: namedOnes } };
    }),
    ...policies.map((value, i): Update => ({ kind: "policy", key: `p${i + 1}`, value })),
  ]);

export const anyPacket: fc.Arbitrary<Packet> = fc.record({
  endpoint: fc.constantFrom("e1", "e2", "e3"),
  direction: fc.constantFrom("ingress", "egress"),
  peer: fc.constantFrom(...PODS, 65_700, 200_000, ...RESERVED, ...ADDRESSES, ...ADDRESSES),
  protocol: fc.constantFrom(1, 6, 6, 6, 17, 58, 132, 47),
  port: fc.constantFrom(...PORTS, 8, 128),
});

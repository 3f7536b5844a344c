// The generated policies are worth comparing with: of every kind, neither all open nor all shut.
import { expect, test } from "@jest/globals";
import { createRandom, generateSet } from "../../../policy/generate.ts";
import { plannedWorld } from "../../../policy/layout.ts";
import { matrixOf } from "../../../policy/matrix.ts";
import { evaluate } from "../../../policy/reference.ts";

const SEED = 20_261_122;

test("generateSet() gives the same policies for the same seed, others for another", () => {
  const of = (seed: number): string =>
    JSON.stringify(generateSet(createRandom(seed), { prefix: "p", size: 8 }));
  expect(of(1)).toBe(of(1));
  expect(of(1)).not.toBe(of(2));
});

test("generateSet() uses every word of both languages", () => {
  const sets = generateSet(createRandom(SEED), { prefix: "p", size: 300 });
  const text = JSON.stringify(sets);
  const words = `
    NetworkPolicy CiliumNetworkPolicy CiliumClusterwideNetworkPolicy
    policyTypes podSelector namespaceSelector ipBlock except endPort
    fromEndpoints toEndpoints fromEntities toEntities fromCIDR toCIDR
    fromCIDRSet toCIDRSet toServices toPorts icmps ingressDeny egressDeny
    enableDefaultDeny specs toFQDNs rules matchExpressions SCTP ANY
    io.cilium.k8s.policy.cluster io.cilium.k8s.policy.serviceaccount
    io.cilium.k8s.namespace.labels.team k8s:io.kubernetes.pod.namespace`;
  expect(words.match(/\S+/g)?.filter((word) => !text.includes(`"${word}"`))).toEqual([]);
});

test("sets of generated policies allow some packets of every kind and deny others", () => {
  const world = plannedWorld();
  const random = createRandom(SEED);
  const shares = new Map<string, { allowed: number; all: number }>();
  for (let n = 0; n < 10; n++) {
    const set = generateSet(random, { prefix: `s${n}`, size: 8 });
    for (const packet of matrixOf(world)) {
      const { from, to, family, protocol } = packet;
      const where =
        from.kind !== "pod" || to.kind !== "pod"
          ? `${from.kind} to ${to.kind}`
          : from.cluster === to.cluster
            ? "pods of one cluster"
            : "pods of two clusters";
      for (const kind of [where, `IPv${family}`, protocol]) {
        const share = shares.get(kind) ?? { allowed: 0, all: 0 };
        share.all++;
        if (evaluate(world, set, packet).allowed) share.allowed++;
        shares.set(kind, share);
      }
    }
  }
  const percents = [...shares].map(([kind, { allowed, all }]): [string, number] => [
    kind,
    Math.round((allowed / all) * 100),
  ]);
  process.stderr.write(`allowed, percent: ${JSON.stringify(Object.fromEntries(percents))}\n`);
  expect(percents.filter(([, percent]) => percent < 15 || percent > 85)).toEqual([]);
});

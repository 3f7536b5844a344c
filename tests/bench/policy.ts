// What it costs a node's policy engine that one identity joins the mesh: of 5,000 identities and of
// 50,000, with the same policies and pods. Beside it, everything from scratch.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createPolicyEngine, type PolicyEngine } from "../../agent/policy/engine.ts";
import { identityRange } from "../../mesh/core/identity.ts";
import { policyKey } from "../../mesh/core/policy.ts";
import {
  distribution,
  formatNumber,
  judge,
  measureRounds,
  median,
  type Benchmark,
  type Contestant,
} from "./benchmark.ts";
import { identityOf, joinerOf, makePolicy, POLICY_MESH } from "./policy-mesh.ts";

const FEW = 5_000;
const MANY = 50_000;
const JOINS = 2_000;
const QUICK_JOINS = 200;
/** Before the first round, so that no contestant runs on code that is not compiled yet. */
const WARM_UP_JOINS = 500;
const MEGABYTE = 1024 * 1024;

interface Built {
  readonly engine: PolicyEngine;
  readonly identities: number;
  readonly milliseconds: number;
  readonly megabytes: number;
  readonly entries: number;
}

export const policy: Benchmark = {
  name: "policy",
  title: "One identity joins the mesh: what it costs a node's policy engine (median of one join)",
  async run(context) {
    const joins = context.quick ? QUICK_JOINS : JOINS;
    const built = [build(FEW), build(MANY)];
    const samples = new Map<Built, number[]>();
    let touched: number[] = [];
    const contestants = built.map((one): Contestant => {
      joinAndLeave(one, WARM_UP_JOINS);
      return {
        name: nameOf(one),
        run: () => {
          const round = joinAndLeave(one, joins);
          samples.set(one, [...(samples.get(one) ?? []), ...round.microseconds]);
          touched = round.entries;
          return Promise.resolve(median(round.microseconds));
        },
      };
    });
    const measurements = await measureRounds(contestants, { ...context, unit: "µs" });
    const [few, many] = built.map(nameOf);
    if (few === undefined || many === undefined) throw new Error("Cannot compare: nothing built");
    // Ten times the identities: what is left is that larger tables miss the caches.
    const goal = { kind: "at most", ratio: 2 } as const;
    return {
      measurements,
      distributions: built.map((one) => distribution(nameOf(one), "µs", samples.get(one) ?? [])),
      verdicts: [judge(measurements, { of: many, to: few, goal })],
      notes: [
        `${POLICY_MESH.policies} policies, ${POLICY_MESH.endpoints} pods on the node; one join writes ` +
          `${formatNumber(median(touched))} entries (median), all pods together`,
        ...built.map(
          (one) =>
            `from scratch with ${one.identities} identities: ${formatNumber(one.milliseconds)} ms, ` +
            `${formatNumber(one.megabytes)} MB, ${one.entries} entries`,
        ),
      ],
    };
  },
};

function nameOf({ identities }: Built): string {
  return `among ${identities} identities`;
}

function build(identities: number): Built {
  const labelled = Array.from({ length: identities }, (_, i) => identityOf(i));
  const policies = Array.from({ length: POLICY_MESH.policies }, (_, i) => makePolicy(i));
  const before = liveBytes();
  const startMs = performance.now();
  const engine = createPolicyEngine({
    ownCluster: { name: "c1", identities: identityRange(1, 255) },
  });
  for (const { number, labels } of labelled) engine.setIdentity(number, labels);
  for (const each of policies) engine.setPolicy(policyKey(each), each);
  for (let i = 0; i < POLICY_MESH.endpoints; i++) {
    const { number } = identityOf(i * POLICY_MESH.clusters);
    engine.setEndpoint(`pod-${i}`, { identity: number, namedPorts: [] });
  }
  settle(engine);
  const milliseconds = performance.now() - startMs;
  const megabytes = (liveBytes() - before) / MEGABYTE;
  const keys = Array.from({ length: POLICY_MESH.endpoints }, (_, i) => `pod-${i}`);
  const states = keys.flatMap((key) => engine.stateOf(key) ?? []);
  const closed = states.find((state) => state.closed !== undefined);
  if (closed !== undefined) throw new Error(`Cannot measure: an endpoint is ${closed.closed}`);
  const entries = states.reduce((sum, state) => sum + state.entries, 0);
  return { engine, identities, milliseconds, megabytes, entries };
}

/** Each time another identity; only its coming is timed. */
function joinAndLeave(
  { engine }: Built,
  count: number,
): { readonly microseconds: number[]; readonly entries: number[] } {
  const microseconds: number[] = [];
  const entries: number[] = [];
  for (let i = 0; i < count; i++) {
    const { number, labels } = joinerOf(i);
    const startMs = performance.now();
    engine.setIdentity(number, labels);
    const { endpoints } = engine.take();
    microseconds.push((performance.now() - startMs) * 1_000);
    let written = 0;
    for (const change of endpoints.values()) {
      if (change.kind !== "changed")
        throw new Error("Cannot measure: more than a join has changed");
      written += change.put.length;
    }
    entries.push(written);
    engine.setIdentity(number, undefined);
    settle(engine);
  }
  return { microseconds, entries };
}

function settle(engine: PolicyEngine): void {
  while (engine.take().unfinished) continue;
}

/** What is left when everything that nobody needs is gone. */
function liveBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

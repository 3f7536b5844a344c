// How long it takes until a policy that somebody writes is enforced at 100 pods of a node: from the
// manifest, through the apiserver, etcd and the agent, to the maps that packets meet.
//
//   file ──► apiserver ──► etcd ──► agent ──► first pod's map … last pod's map
import { systemClock } from "../../mesh/core/clock.ts";
import { openDatapathMaps, type DatapathMaps } from "../../bpf/datapath.ts";
import { PolicyEnforcement } from "../../bpf/gen/layout.ts";
import { deleteManifest, writeManifest, type Manifest } from "../../deploy/lab/manifests.ts";
import { labNodes } from "../../deploy/lab/plan.ts";
import { createPod, type PodHost } from "../../deploy/lab/pods.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { createTestLab, mustSucceed } from "../e2e/test-lab.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  distribution,
  quantile,
  type Benchmark,
  type BenchmarkContext,
  type Distribution,
  type Measurement,
} from "./benchmark.ts";

const PODS = 100;
const QUICK_PODS = 10;
const ROUNDS = 20;
const QUICK_ROUNDS = 3;
/** Pods that are made at once: two processors start no more. */
const AT_ONCE = 4;
const LIMIT_MS = 120_000;

const POLICY: Manifest = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "everybody", namespace: "shop" },
  spec: {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { app: "crowd" } } }],
        ports: [{ protocol: "TCP", port: 8080 }],
      },
    ],
    egress: [{ to: [{ ipBlock: { cidr: "198.51.100.0/24", except: ["198.51.100.128/25"] } }] }],
  },
};

interface Times {
  readonly firstMs: number;
  readonly lastMs: number;
}

export const policyApply: Benchmark = {
  name: "policy-apply",
  title: "a policy is written: how long until 100 pods of a node enforce it",
  async run(context) {
    const pods = context.quick ? QUICK_PODS : PODS;
    const rounds = context.givenRounds ?? (context.quick ? QUICK_ROUNDS : ROUNDS);
    const { applied, removed } = await measureAll({ pods, rounds }, context);
    return {
      measurements: [totalOf(`applied at ${pods} pods`, applied)],
      distributions: [
        ...distributionsOf(`applied at ${pods} pods`, applied),
        ...distributionsOf(`removed at ${pods} pods`, removed),
      ],
      verdicts: [],
      notes: [
        "from the first byte of the manifest until the row of each pod says that it is in force",
        "one rule each way: a peer selector with a port, and a CIDR with an exception",
      ],
    };
  },
};

async function measureAll(
  size: { readonly pods: number; readonly rounds: number },
  { say, signal }: BenchmarkContext,
): Promise<{ readonly applied: readonly Times[]; readonly removed: readonly Times[] }> {
  const lab = createTestLab("benchpolicy");
  const applied: Times[] = [];
  const removed: Times[] = [];
  try {
    say(`  a cluster of one node with ${size.pods} pods is brought up`);
    mustSucceed(await lab.up(["--clusters", "east", "--nodes", "1"]));
    const host = await lab.open();
    await createCrowd(host, size.pods, signal);
    const [node] = labNodes(host.plan);
    const [cluster] = host.plan.members;
    if (node === undefined || cluster === undefined) throw new Error("The lab has no node");
    const { manifests } = clusterPaths(cluster.directory);
    using maps = openDatapathMaps(node.bpfRoot);
    await eventually(() => isEverybodyIn(maps, size.pods), { limitMs: LIMIT_MS, signal });
    for (let round = 1; round <= size.rounds; round++) {
      signal.throwIfAborted();
      applied.push(await timeChange(maps, () => writeManifest(manifests, POLICY), signal));
      removed.push(await timeChange(maps, () => deleteManifest(manifests, POLICY), signal));
      const { firstMs = 0, lastMs = 0 } = applied.at(-1) ?? {};
      say(
        `  ${round}/${size.rounds}: first ${firstMs.toFixed(1)} ms, last ${lastMs.toFixed(1)} ms`,
      );
    }
    return { applied, removed };
  } finally {
    await lab.remove();
  }
}

async function createCrowd(host: PodHost, count: number, signal: AbortSignal): Promise<void> {
  const names = Array.from({ length: count }, (_, i) => `crowd-${i + 1}`);
  const startNext = async (): Promise<void> => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const place = { cluster: "east", node: "node1", namespace: "shop", name };
      const workload = { kind: "command", argv: ["sleep", "infinity"] } as const;
      const pod = { ...place, labels: { app: "crowd" }, serviceAccount: "default", workload };
      await createPod(host, { ...pod, ports: [] }, signal);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, startNext));
}

function isEverybodyIn(maps: DatapathMaps, pods: number): boolean {
  const rows = [...maps.policyState.entries()];
  const inForce = rows.filter(([, { enforcement }]) => enforcement === PolicyEnforcement.on);
  return inForce.length === pods;
}

/** Until every row has another revision than before. */
async function timeChange(
  maps: DatapathMaps,
  change: () => Promise<void>,
  signal: AbortSignal,
): Promise<Times> {
  const before = revisionsOf(maps);
  const beganMs = systemClock.monotonicMs();
  await change();
  let firstMs = Number.NaN;
  for (;;) {
    const now = revisionsOf(maps);
    const changed = [...now].filter(([ifindex, revision]) => before.get(ifindex) !== revision);
    const elapsedMs = systemClock.monotonicMs() - beganMs;
    if (changed.length > 0 && Number.isNaN(firstMs)) firstMs = elapsedMs;
    if (changed.length === before.size) return { firstMs, lastMs: elapsedMs };
    if (elapsedMs > LIMIT_MS) throw new Error(`Only ${changed.length} of ${before.size} changed`);
    await systemClock.sleep(1, signal);
  }
}

function revisionsOf(maps: DatapathMaps): ReadonlyMap<number, number> {
  return new Map(
    Array.from(maps.policyState.entries(), ([{ ifindex }, { revision }]) => [ifindex, revision]),
  );
}

function totalOf(name: string, times: readonly Times[]): Measurement {
  const values = times.map(({ lastMs }) => lastMs);
  return { name, unit: "ms", median: quantile(values, 0.5), values };
}

function distributionsOf(name: string, times: readonly Times[]): Distribution[] {
  return [
    distribution(
      `${name}: first`,
      "ms",
      times.map(({ firstMs }) => firstMs),
    ),
    distribution(
      `${name}: last`,
      "ms",
      times.map(({ lastMs }) => lastMs),
    ),
  ];
}

// connect() as a program sees it, with 10,000 services in the maps: to a service, to an address
// that is none, and to the same address without our programs.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { mapAddressFromAddress } from "../../bpf/address.ts";
import { BackendState, ClusterHealth, ClusterDrill, IpProtocol } from "../../bpf/gen/layout.ts";
import { addressFromBytes, parseAddress } from "../../mesh/core/address.ts";
import { createBenchDatapath, createCgroup, type BenchDatapath } from "./bench-datapath.ts";
import { judge, measureRounds, type Benchmark, type Contestant } from "./benchmark.ts";

const SERVICES = 10_000;
const CLUSTER_ID = 1;
const SERVICE_PORT = 80;
/** In a network namespace of its own; no other process listens there. */
const LISTEN_PORT = 7_000;
const CONNECTIONS = 50_000;
const QUICK_CONNECTIONS = 5_000;
const PROGRAM = "build/bench/connect";
const THROUGH = "to a service";
const DIRECT = "direct, without our programs";
const BESIDE = "direct, past our programs";

export const connectCost: Benchmark = {
  name: "connect",
  title: "connect() with 10,000 services in the maps (median of one connection)",
  async run(context) {
    buildProgram();
    const node = await createBenchDatapath(context.directory);
    const plainCgroup = createCgroup("plain");
    try {
      fillServices(node);
      const connections = context.quick ? QUICK_CONNECTIONS : CONNECTIONS;
      const contestant = (name: string, cgroupPath: string, target: string): Contestant => ({
        name,
        run: () => Promise.resolve(timeConnects({ cgroupPath, target, connections })),
      });
      const measurements = await measureRounds(
        [
          contestant(DIRECT, plainCgroup, `127.0.0.1 ${LISTEN_PORT}`),
          contestant(BESIDE, node.cgroupPath, `127.0.0.1 ${LISTEN_PORT}`),
          contestant(THROUGH, node.cgroupPath, `${frontend(SERVICES / 2)} ${SERVICE_PORT}`),
        ],
        { ...context, unit: "µs" },
      );
      const goal = { kind: "at most", ratio: 1.15 } as const;
      return {
        measurements,
        verdicts: [
          judge(measurements, { of: THROUGH, to: DIRECT, goal }),
          judge(measurements, { of: BESIDE, to: DIRECT, goal }),
        ],
        notes: [`${connections} TCP connections over loopback a round, connect() alone is timed`],
      };
    } finally {
      rmdirSync(plainCgroup);
      await node.remove();
    }
  },
};

function buildProgram(): void {
  mkdirSync("build/bench", { recursive: true });
  const { status, stderr } = spawnSync(
    "clang",
    ["-O2", "-Wall", "-Werror", "tests/bench/connect.c", "-o", PROGRAM],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`Cannot compile tests/bench/connect.c: ${stderr}`);
}

/** One frontend, one group and one backend a service; every backend is the one listener. */
function fillServices({ datapath: { maps } }: BenchDatapath): void {
  const indexes = Array.from({ length: SERVICES }, (_, i) => i);
  const listener = mapAddressFromAddress(parseAddress("127.0.0.1"));
  maps.clusterState.put(CLUSTER_ID, {
    drillExpiresNs: 0n,
    drainExpiresNs: 0n,
    healthIpv4: ClusterHealth.healthy,
    healthIpv6: ClusterHealth.healthy,
    heldBackPercentIpv4: 0,
    heldBackPercentIpv6: 0,
    drainedPercent: 0,
    drill: ClusterDrill.none,
  });
  maps.backends.putBatch(
    indexes.map((i) => [
      { backendId: i + 1 },
      {
        address: listener,
        port: LISTEN_PORT,
        protocol: IpProtocol.tcp,
        state: BackendState.active,
        clusterId: CLUSTER_ID,
      },
    ]),
  );
  maps.backendSlots.putBatch(
    indexes.map((i) => [
      { serviceId: i + 1, clusterId: CLUSTER_ID, slot: 0 },
      { backendId: i + 1 },
    ]),
  );
  maps.groups.putBatch(
    indexes.map((i) => [
      { serviceId: i + 1, index: 0 },
      { clusterId: CLUSTER_ID, tier: 0, weight: 1, backendCount: 1 },
    ]),
  );
  maps.services.putBatch(
    indexes.map((i) => [
      {
        address: mapAddressFromAddress(parseAddress(frontend(i))),
        port: SERVICE_PORT,
        protocol: IpProtocol.tcp,
      },
      { serviceId: i + 1, groupCount: 1, affinityTimeoutSeconds: 0 },
    ]),
  );
}

function frontend(index: number): string {
  return addressFromBytes(Uint8Array.of(10, 96, index >> 8, index & 255)).text;
}

/** The median in microseconds, of a client that runs in the cgroup. */
function timeConnects(work: {
  readonly cgroupPath: string;
  readonly target: string;
  readonly connections: number;
}): number {
  const { cgroupPath, target, connections } = work;
  const script = `echo $$ >"$1" && exec ${PROGRAM} ${connections} ${target} ${LISTEN_PORT}`;
  const { stdout, stderr, status } = spawnSync(
    "sh",
    ["-c", script, "sh", `${cgroupPath}/cgroup.procs`],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`Cannot time connections to ${target}: ${stderr}`);
  return Number(stdout.split(" ")[0]) / 1_000;
}

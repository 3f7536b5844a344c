// What policy and connection tracking cost pods: throughput and connections a second between two
// pods of one node, without our programs, and with them under a small and a large policy. Each
// contestant is a pair of pods of its own beside the others, so nothing changes between turns.
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { removeDatapath } from "../../bpf/datapath.ts";
import { mountBpffs, unmountBpffs } from "../../bpf/mounts.ts";
import { createCgroup } from "./bench-datapath.ts";
import {
  judge,
  measureRounds,
  type Benchmark,
  type BenchmarkContext,
  type Contestant,
  type Measurement,
} from "./benchmark.ts";
import type { PolicyNode } from "./policy-node.ts";

const PROGRAM = "build/bench/traffic";
const PORT = 7_000;
const TURN_MS = 500;
const QUICK_TURN_MS = 300;
/** Many short turns: then a moment in which the machine has other work is few of them. */
const ROUNDS = 21;
const BITS = 8;
const GIGA = 1e9;
const MANY_ENTRIES = 10_000;
const HOST_MAC = "02:00:00:00:00:01";
const POD_MAC = "02:00:00:00:00:02";

interface Pair {
  readonly name: string;
  /** Undefined: without our programs. */
  readonly entries: number | undefined;
  readonly client: Pod;
  readonly server: Pod;
}

interface Pod {
  readonly namespace: string;
  readonly hostInterface: string;
  readonly address: string;
}

export const datapath: Benchmark = {
  name: "datapath",
  title: "Between two pods of a node, through policy and connection tracking",
  async run(context) {
    buildProgram();
    const node = `tombolo-bench-${process.pid}-node`;
    const pairs = describePairs();
    const cgroupPath = createCgroup("policy");
    const bpffs = join(context.directory, "bpf");
    const bpfRoot = join(bpffs, "node");
    const servers: ChildProcess[] = [];
    try {
      await mountBpffs(bpffs);
      createNamespaces(node, pairs);
      enforce(node, pairs, { bpfRoot, cgroupPath, objectDirectory: "build/bpf" });
      for (const { server } of pairs) servers.push(await serve(server));
      return await measure(pairs, context);
    } finally {
      for (const server of servers) {
        server.stdin?.end();
        if (server.exitCode === null) await once(server, "exit");
      }
      for (const name of [node, ...pairs.flatMap(namespacesOf)])
        spawnSync("ip", ["netns", "delete", name]);
      removeDatapath(bpfRoot);
      await unmountBpffs(bpffs);
      rmdirSync(cgroupPath);
    }
  },
};

async function measure(
  pairs: readonly Pair[],
  context: BenchmarkContext,
): Promise<Awaited<ReturnType<Benchmark["run"]>>> {
  const turnMs = context.quick ? QUICK_TURN_MS : TURN_MS;
  const rounds = context.quick ? context.rounds : (context.givenRounds ?? ROUNDS);
  const contestants = (verb: string, scale: number): Contestant[] =>
    pairs.map(({ name, client, server }) => ({
      name: `${verb}, ${name}`,
      run: () => Promise.resolve((ask(client, [verb, server.address], turnMs) * BITS) / scale),
    }));
  const streams = await measureRounds(contestants("stream", GIGA), {
    ...context,
    rounds,
    unit: "Gbit/s",
  });
  const connections = await measureRounds(contestants("connections", BITS), {
    ...context,
    rounds,
    unit: "connections/s",
  });
  const ratios = (measurements: readonly Measurement[], ratio: number) => {
    const [plain, ...others] = measurements.map(({ name }) => name);
    return others.map((of) =>
      judge(measurements, { of, to: plain ?? "", goal: { kind: "at least", ratio } }),
    );
  };
  return {
    measurements: [...streams, ...connections],
    verdicts: [...ratios(streams, 0.9), ...ratios(connections, 0.8)],
    notes: [
      `One TCP stream, or one connection after the other, for ${turnMs} ms a turn; MTU 1500`,
      "A connection is opened, carries a byte each way, and is reset",
    ],
  };
}

function describePairs(): Pair[] {
  const contestants: readonly [string, number | undefined][] = [
    ["plain veth", undefined],
    ["policy with 1 entry each way", 2],
    [`policy with ${MANY_ENTRIES.toLocaleString("en-US")} entries`, MANY_ENTRIES],
  ];
  return contestants.map(([name, entries], i) => {
    const pod = (side: number): Pod => ({
      namespace: `tombolo-bench-${process.pid}-pod${i}${side}`,
      hostInterface: `pod${i}${side}`,
      address: `10.99.${i}.${side}`,
    });
    return { name, entries, client: pod(1), server: pod(2) };
  });
}

function namespacesOf({ client, server }: Pair): string[] {
  return [client.namespace, server.namespace];
}

function buildProgram(): void {
  mkdirSync("build/bench", { recursive: true });
  const flags = ["-O2", "-Wall", "-Werror", "-pthread"];
  execFileSync("clang", [...flags, "tests/bench/traffic.c", "-o", PROGRAM]);
}

/** Pods behind veth pairs, as the CNI plugin makes them; the node routes between them. */
function createNamespaces(node: string, pairs: readonly Pair[]): void {
  const ip = (namespace: string, words: string): void =>
    void execFileSync("ip", ["-n", namespace, ...words.split(" ")]);
  execFileSync("ip", ["netns", "add", node]);
  inNamespace(node, ["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  for (const { namespace, hostInterface, address } of pairs.flatMap(({ client, server }) => [
    client,
    server,
  ])) {
    execFileSync("ip", ["netns", "add", namespace]);
    ip(node, `link add ${hostInterface} type veth peer name eth0 netns ${namespace}`);
    ip(node, `link set ${hostInterface} address ${HOST_MAC} up`);
    ip(namespace, "link set lo up");
    ip(namespace, `link set eth0 address ${POD_MAC} up`);
    ip(namespace, `address add ${address}/32 dev eth0`);
    ip(namespace, "route add 169.254.1.1 dev eth0 scope link");
    ip(namespace, "route add default via 169.254.1.1 dev eth0");
    ip(namespace, `neighbour add 169.254.1.1 lladdr ${HOST_MAC} dev eth0`);
    ip(node, `route add ${address} dev ${hostInterface}`);
    ip(node, `neighbour add ${address} lladdr ${POD_MAC} dev ${hostInterface}`);
  }
}

function inNamespace(namespace: string, command: readonly string[]): string {
  return execFileSync("nsenter", [`--net=/run/netns/${namespace}`, ...command], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

function enforce(node: string, pairs: readonly Pair[], places: Omit<PolicyNode, "pods">): void {
  const pods = pairs.flatMap(({ entries, client, server }) => {
    if (entries === undefined) return [];
    const pod = ({ hostInterface, address }: Pod, peer: Pod): PolicyNode["pods"][number] => ({
      hostInterface,
      address,
      peer: peer.address,
      entries,
    });
    return [pod(client, server), pod(server, client)];
  });
  const argument = JSON.stringify({ ...places, pods } satisfies PolicyNode);
  inNamespace(node, [process.execPath, "tests/bench/policy-node.ts", argument]);
}

async function serve({ namespace }: Pod): Promise<ChildProcess> {
  const server = spawn(
    "nsenter",
    [`--net=/run/netns/${namespace}`, PROGRAM, "serve", String(PORT)],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  await once(server.stdout, "data");
  return server;
}

function ask(
  { namespace }: Pod,
  [verb, address]: readonly [verb: string, address: string],
  turnMs: number,
): number {
  return Number(inNamespace(namespace, [PROGRAM, verb, address, String(PORT), String(turnMs)]));
}

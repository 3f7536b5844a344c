// One endpoint under a policy, for packets through BPF_PROG_TEST_RUN: what may be there, what its
// policy says, a packet in either direction, and what became of it.
import { join } from "node:path";
import { ipcacheKeyFromPrefix, mapAddressFromText } from "../../bpf/address.ts";
import {
  openDatapath,
  type CounterName,
  type Datapath,
  type DropName,
} from "../../bpf/datapath.ts";
import {
  flowRecordCodec,
  PolicyEnforcement,
  PolicyMode,
  PolicyVerdict,
  TrafficDirection,
  type Connection,
  type FlowRecord,
} from "../../bpf/gen/layout.ts";
import { denialsMap, flowRecordsMap } from "../../bpf/gen/maps.ts";
import { openPinnedMap } from "../../bpf/map.ts";
import { openPolicyMaps, type PolicyMaps, type PolicyRow } from "../../bpf/policy-maps.ts";
import { openPinnedRingBuffer, type RingBuffer } from "../../bpf/ring-buffer.ts";
import { parsePrefix } from "../../mesh/core/address.ts";
import { createScratch, type Scratch } from "./scratch.ts";
import { LOOPBACK_IFINDEX, runProgram, type TestRun } from "./test-run.ts";

/** The cluster of the node is number 1 of at most 255: its identities are 65536 to 131071. */
export const CLUSTER = { id: 1, maxConnectedClusters: 255 } as const;

export const IDENTITY = {
  host: 1,
  world: 2,
  unmanaged: 3,
  init: 5,
  remoteNode: 6,
  worldIpv4: 9,
  worldIpv6: 10,
  pod: 65_537,
  /** Another pod of the own cluster, and one of cluster 2. */
  own: 65_600,
  foreign: 131_080,
  /** A prefix that policies of the node name. */
  prefix: 2 ** 24 + 5,
} as const;

export const AGGREGATE = { anybody: 0, cluster: 11, clustermesh: 12, world: 13 } as const;

/** By family: the endpoint, and who may be at the other end. */
export const FAMILIES = {
  IPv4: {
    pod: "10.1.0.2",
    neighbour: "10.1.0.3",
    unknownPod: "10.1.0.4",
    own: "10.1.7.2",
    foreign: "10.2.0.2",
    unmanaged: "10.2.9.9",
    node: "192.0.2.2",
    host: "192.0.2.1",
    prefix: "203.0.113.7",
    world: "198.51.100.1",
  },
  IPv6: {
    pod: "fd01::2",
    neighbour: "fd01::3",
    unknownPod: "fd01::4",
    own: "fd01:7::2",
    foreign: "fd02::2",
    unmanaged: "fd02:9::9",
    node: "2001:db8::2",
    host: "2001:db8::1",
    prefix: "2001:db8:113::7",
    world: "2001:db8:51::1",
  },
} as const;
export type Peers = Record<keyof (typeof FAMILIES)["IPv4"], string>;

export const NEIGHBOUR_IFINDEX = 999;
export const UNKNOWN_POD_IFINDEX = 998;

export interface Outcome extends TestRun {
  readonly drops: readonly DropName[];
  readonly records: readonly FlowRecord[];
}

export interface PolicySite extends AsyncDisposable {
  readonly datapath: Datapath;
  readonly policies: PolicyMaps;
  readonly bpfRoot: string;
  setMode(mode: PolicyMode): void;
  /** Puts the rows in force under a new revision. */
  enforce(rows: readonly PolicyRow[]): void;
  setState(state: { readonly enforcement?: PolicyEnforcement; readonly revision?: number }): void;
  /** Without a row in policy_state. */
  forgetState(): void;
  send(packet: Uint8Array): Outcome;
  /** `mark` as from_overlay leaves it. */
  receive(packet: Uint8Array, options?: { readonly mark?: number }): Outcome;
  /** Leaves the records where they are. */
  sendBlind(packet: Uint8Array): void;
  records(): FlowRecord[];
  /** As if so many seconds had passed since the last record of each. */
  ageDenials(seconds: number): void;
  connections(): Connection[];
  /** And what was told of them, and of denials. */
  forgetConnections(): void;
  count(name: CounterName): bigint;
}

export async function createPolicySite(
  maxEntries?: ReadonlyMap<string, number>,
): Promise<PolicySite> {
  const scratch: Scratch = await createScratch();
  const datapath = openDatapath({
    ...scratch,
    cluster: CLUSTER,
    ...(maxEntries === undefined ? {} : { maxEntries }),
  });
  const policies = openPolicyMaps(scratch.bpfRoot);
  const ring: RingBuffer<FlowRecord> = openPinnedRingBuffer(
    join(scratch.bpfRoot, "maps", flowRecordsMap.name),
    { spec: flowRecordsMap, record: flowRecordCodec },
  );
  const denials = openPinnedMap(join(scratch.bpfRoot, "maps", denialsMap.name), denialsMap);
  const { maps } = datapath;
  const state = { ifindex: LOOPBACK_IFINDEX };
  let revision = 0;
  fillAddresses(datapath);
  maps.policyState.put(
    { ifindex: NEIGHBOUR_IFINDEX },
    { identity: IDENTITY.own, revision: 1, enforcement: PolicyEnforcement.on },
  );

  function run(program: string, packet: Uint8Array, mark = 0): Outcome {
    const before = maps.drops.read();
    const result = runProgram(join(scratch.bpfRoot, "programs", program), packet, { mark });
    const drops = [...maps.drops.read()].flatMap(([name, count]) =>
      Array<DropName>(Number(count - (before.get(name) ?? 0n))).fill(name),
    );
    return { ...result, drops, records: ring.read() };
  }

  const site: PolicySite = {
    datapath,
    policies,
    bpfRoot: scratch.bpfRoot,
    setMode: (mode) => maps.policyNode.put(0, { mode }),
    enforce(rows) {
      policies.replace(LOOPBACK_IFINDEX, rows);
      site.setState({});
    },
    setState(changes) {
      revision = changes.revision ?? revision + 1;
      const { enforcement = PolicyEnforcement.on } = changes;
      maps.policyState.put(state, { identity: IDENTITY.pod, revision, enforcement });
    },
    forgetState: () => void maps.policyState.delete(state),
    send: (packet) => run("from_pod", packet),
    receive: (packet, { mark = 0 } = {}) => run("to_pod", packet, mark),
    sendBlind: (packet) => void runProgram(join(scratch.bpfRoot, "programs", "from_pod"), packet),
    records: () => ring.read(),
    ageDenials(seconds) {
      for (const [key, row] of denials.entries())
        denials.put(key, {
          ...row,
          lastReportNs: row.lastReportNs - BigInt(seconds) * 1_000_000_000n,
        });
    },
    connections: () => Array.from(maps.connections.entries(), ([, row]) => row),
    forgetConnections() {
      maps.connections.deleteBatch(Array.from(maps.connections.entries(), ([key]) => key));
      denials.deleteBatch(Array.from(denials.entries(), ([key]) => key));
      ring.read();
    },
    count: (name) => maps.counters.read().get(name) ?? 0n,
    async [Symbol.asyncDispose]() {
      ring.close();
      denials.close();
      policies.close();
      datapath.close();
      await scratch[Symbol.asyncDispose]();
    },
  };
  site.setMode(PolicyMode.closed);
  return site;
}

function fillAddresses({ maps }: Datapath): void {
  const putAddress = (
    address: string,
    { identity, node = "", clusterId = 1 }: { identity: number; node?: string; clusterId?: number },
  ): void =>
    maps.ipcache.put(ipcacheKeyFromPrefix(parsePrefix(address)), {
      identity,
      tunnelEndpoint: node === "" ? new Uint8Array(16) : mapAddressFromText(node),
      clusterId,
      encryptionKey: 0,
    });
  const putEndpoint = (address: string, ifindex: number): void =>
    maps.endpoints.put(
      { address: mapAddressFromText(address) },
      { ifindex, podMac: new Uint8Array(6).fill(2), hostMac: new Uint8Array(6).fill(4) },
    );
  for (const peers of Object.values(FAMILIES)) {
    const whole = peers.pod.includes(":") ? "/128" : "/32";
    const foreignRange = peers.pod.includes(":") ? "fd02::/16" : "10.2.0.0/16";
    const foreignNode = { node: FAMILIES.IPv4.node, clusterId: 2 };
    putAddress(`${peers.pod}${whole}`, { identity: IDENTITY.pod });
    putAddress(`${peers.own}${whole}`, { identity: IDENTITY.own, node: "192.0.2.3" });
    putAddress(`${peers.foreign}${whole}`, { identity: IDENTITY.foreign, ...foreignNode });
    putAddress(foreignRange, { identity: IDENTITY.unmanaged, ...foreignNode });
    putAddress(`${peers.node}${whole}`, { identity: IDENTITY.remoteNode, clusterId: 2 });
    putAddress(`${peers.host}${whole}`, { identity: IDENTITY.host });
    putAddress(`${peers.prefix}${whole}`, { identity: IDENTITY.prefix, clusterId: 0 });
    putEndpoint(peers.pod, LOOPBACK_IFINDEX);
    putEndpoint(peers.neighbour, NEIGHBOUR_IFINDEX);
    putEndpoint(peers.unknownPod, UNKNOWN_POD_IFINDEX);
  }
}

export interface Rule {
  readonly identity: number;
  /** Any, unless told otherwise. */
  readonly protocol?: number;
  /** A port, or one and how many of its first bits count. */
  readonly port?: number | readonly [port: number, bits: number];
  readonly rule?: number;
}

function row(direction: TrafficDirection, verdict: PolicyVerdict, rule: Rule): PolicyRow {
  const { identity, protocol, port, rule: number = 7 } = rule;
  const [first, bits] = typeof port === "number" ? [port, 16] : (port ?? [0, 0]);
  const prefixLength = protocol === undefined ? 40 : 48 + bits;
  return [
    { prefixLength, identity, direction, protocol: protocol ?? 0, port: first },
    { verdict, rule: number },
  ];
}

export const ingress = {
  allow: (rule: Rule): PolicyRow => row(TrafficDirection.ingress, PolicyVerdict.allow, rule),
  deny: (rule: Rule): PolicyRow => row(TrafficDirection.ingress, PolicyVerdict.deny, rule),
};
export const egress = {
  allow: (rule: Rule): PolicyRow => row(TrafficDirection.egress, PolicyVerdict.allow, rule),
  deny: (rule: Rule): PolicyRow => row(TrafficDirection.egress, PolicyVerdict.deny, rule),
};

export const EVERYTHING: readonly PolicyRow[] = [
  ingress.allow({ identity: AGGREGATE.anybody }),
  egress.allow({ identity: AGGREGATE.anybody }),
];

// Puts the pods of a benchmark under their policies, inside the network namespace of their node,
// and ends: programs and maps stay. Its argument is a PolicyNode as JSON.
import { ipcacheKeyFromText, mapAddressFromText } from "../../bpf/address.ts";
import { openDatapath } from "../../bpf/datapath.ts";
import {
  PolicyEnforcement,
  PolicyMode,
  PolicyVerdict,
  TrafficDirection,
} from "../../bpf/gen/layout.ts";
import { openPolicyMaps, type PolicyRow } from "../../bpf/policy-maps.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";

export interface PolicyNode {
  readonly bpfRoot: string;
  readonly cgroupPath: string;
  readonly objectDirectory: string;
  readonly pods: readonly {
    readonly hostInterface: string;
    readonly address: string;
    readonly peer: string;
    readonly entries: number;
  }[];
}

const TCP = 6;
const EXACT_PORT = 64;
const FIRST_IDENTITY = 65_536;

const node = JSON.parse(process.argv[2] ?? "") as PolicyNode;
using datapath = openDatapath({ ...node, cluster: { id: 1, maxConnectedClusters: 255 } });
using policies = openPolicyMaps(node.bpfRoot);
const { maps } = datapath;
const identities = new Map(node.pods.map(({ address }, i) => [address, FIRST_IDENTITY + i]));
const identityOf = (address: string): number => identities.get(address) ?? 0;

for (const { hostInterface, address, peer, entries } of node.pods) {
  const ifindex = interfaceIndexFromName(hostInterface);
  const mac = new Uint8Array(6);
  maps.endpoints.put(
    { address: mapAddressFromText(address) },
    { ifindex, podMac: mac, hostMac: mac },
  );
  maps.ipcache.put(ipcacheKeyFromText(`${address}/32`), {
    identity: identityOf(address),
    tunnelEndpoint: new Uint8Array(16),
    clusterId: 1,
    encryptionKey: 0,
  });
  policies.replace(ifindex, [...policyRows(identityOf(peer), entries)]);
  maps.policyState.put(
    { ifindex },
    { identity: identityOf(address), revision: 1, enforcement: PolicyEnforcement.on },
  );
  datapath.attachPod(ifindex);
}
maps.policyNode.put(0, { mode: PolicyMode.closed });

/** For each direction the peer may reach every port of TCP; the rest is about others. */
function* policyRows(peer: number, entries: number): Generator<PolicyRow> {
  const directions = [TrafficDirection.ingress, TrafficDirection.egress];
  for (const direction of directions) {
    const verdict = PolicyVerdict.allow;
    yield [
      { prefixLength: 48, identity: peer, direction, protocol: TCP, port: 0 },
      { verdict, rule: 1 },
    ];
    for (let i = 1; i < entries / directions.length; i++) {
      const identity = FIRST_IDENTITY + 1000 + Math.floor(i / 8);
      yield [
        { prefixLength: EXACT_PORT, identity, direction, protocol: TCP, port: 8000 + (i % 8) },
        { verdict, rule: 2 },
      ];
    }
  }
}

// Sets up one node's datapath inside that node's network namespace and ends: the programs, maps
// and filters stay, which is what the test then looks at. Its argument is an OverlayNode as JSON.
import { parseAddress, parsePrefix } from "../../mesh/core/address.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { ipcacheKeyFromPrefix, mapAddressFromAddress } from "../../bpf/address.ts";
import { openDatapath } from "../../bpf/datapath.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";

export interface OverlayNode {
  readonly bpfRoot: string;
  readonly cgroupPath: string;
  readonly objectDirectory: string;
  readonly overlayInterface: string;
  readonly cluster?: ClusterIdentity;
  readonly pods: readonly {
    readonly hostInterface: string;
    readonly hostMac: string;
    readonly podMac: string;
    readonly addresses: readonly string[];
  }[];
  readonly ipcache: readonly {
    readonly prefix: string;
    readonly identity: number;
    /** Empty for what is reached without a tunnel. */
    readonly tunnelEndpoint: string;
    /** 1 unless told otherwise. */
    readonly clusterId?: number;
  }[];
}

const node = JSON.parse(process.argv[2] ?? "") as OverlayNode;
using datapath = openDatapath(node);
for (const { prefix, identity, tunnelEndpoint, clusterId } of node.ipcache)
  datapath.maps.ipcache.put(ipcacheKeyFromPrefix(parsePrefix(prefix)), {
    identity,
    tunnelEndpoint:
      tunnelEndpoint === ""
        ? new Uint8Array(16)
        : mapAddressFromAddress(parseAddress(tunnelEndpoint)),
    clusterId: clusterId ?? 1,
    encryptionKey: 0,
  });
for (const pod of node.pods) {
  const ifindex = interfaceIndexFromName(pod.hostInterface);
  for (const address of pod.addresses)
    datapath.maps.endpoints.put(
      { address: mapAddressFromAddress(parseAddress(address)) },
      { ifindex, podMac: macBytes(pod.podMac), hostMac: macBytes(pod.hostMac) },
    );
  datapath.attachPod(ifindex);
}

function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (digits) => Number.parseInt(digits, 16));
}

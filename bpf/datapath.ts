// The whole datapath of a node below one directory of a bpffs, its BPF root:
//
//   ROOT/maps/NAME       every map, with its rows
//   ROOT/links/HOOK      cgroup programs (connect4, tcp_events …), attached for as long as the pin stays
//   ROOT/programs/NAME   from_pod, to_pod, to_overlay, from_overlay: what tc filters are made from;
//                        collect: run by whoever wants it (connections.ts)
//
// Opening loads new programs and adopts the maps and links that are there: forwarding does not
// notice. Closing gives only this process's file descriptors back; removeDatapath ends it all.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ClusterIdentity } from "../mesh/core/cluster.ts";
import { MeshError } from "../mesh/core/errors.ts";
import { identityClusterShift, identityRange } from "../mesh/core/identity.ts";
import { createMemory, type Codec } from "./codec.ts";
import { openPinnedCounts, type CountMap } from "./counts.ts";
import { overlayConfigCodec, podConfigCodec, type PodConfig } from "./gen/config.ts";
import { Counter } from "./gen/counter.ts";
import { DropReason } from "./gen/drop.ts";
import type * as layout from "./gen/layout.ts";
import * as specs from "./gen/maps.ts";
import { attachToCgroup } from "./link.ts";
import { openPinnedMap, type BpfMap } from "./map.ts";
import { isBpffs } from "./mounts.ts";
import { loadObject, openObject, type LoadOptions } from "./object.ts";
import { replacePin } from "./pin.ts";
import { attachClassifier, detachClassifier, hasClassifier, interfaceIndexFromName } from "./tc.ts";

export type DropName = keyof typeof DropReason;
export type CounterName = keyof typeof Counter;

/** Every map that user space reads or writes, open. */
export interface DatapathMaps extends Disposable {
  readonly services: BpfMap<layout.ServiceKey, layout.Service>;
  readonly groups: BpfMap<layout.GroupKey, layout.Group>;
  readonly backendSlots: BpfMap<layout.BackendSlotKey, layout.BackendSlot>;
  readonly backends: BpfMap<layout.BackendKey, layout.Backend>;
  readonly clusterState: BpfMap<number, layout.ClusterState>;
  readonly affinity: BpfMap<layout.AffinityKey, layout.Affinity>;
  readonly reverseNat: BpfMap<layout.ReverseNatKey, layout.ReverseNat>;
  readonly flows: BpfMap<layout.FlowKey, layout.Flow>;
  readonly clusterEvidence: BpfMap<number, layout.ClusterEvidence>;
  readonly backendEvidence: BpfMap<layout.BackendKey, layout.BackendEvidence>;
  readonly probes: BpfMap<number, layout.Probe>;
  readonly probeRequests: BpfMap<number, layout.ProbeRequest>;
  readonly faults: BpfMap<number, layout.Fault>;
  readonly ipcache: BpfMap<layout.IpcacheKey, layout.IpcacheEntry>;
  readonly endpoints: BpfMap<layout.EndpointKey, layout.Endpoint>;
  /** `policies` itself is opened by policy-maps.ts, `flow_records` by ring-buffer.ts. */
  readonly policyNode: BpfMap<number, layout.PolicyNode>;
  readonly policyState: BpfMap<layout.InterfaceKey, layout.PolicyState>;
  readonly connections: BpfMap<layout.ConnectionKey, layout.Connection>;
  readonly drops: CountMap<DropName>;
  readonly counters: CountMap<CounterName>;
  close(): void;
}

export interface DatapathOptions {
  /** A directory in a bpffs (mounts.ts); made if it is missing. */
  readonly bpfRoot: string;
  /** Programs in this cgroup and below it get socket load balancing. */
  readonly cgroupPath: string;
  /**
   * The node's VXLAN device in this process's network namespace, made with `external` (collect
   * metadata) and with ARP off. Without one, calls to services are balanced and no pod is served.
   */
  readonly overlayInterface?: string;
  /** Its UDP port, and that of all nodes; 8472 unless told otherwise. */
  readonly overlayPort?: number;
  /** The cluster that the node belongs to. Without it no identity can be told to be its own. */
  readonly cluster?: Pick<ClusterIdentity, "id" | "maxConnectedClusters">;
  /** Where `make -C bpf` has put the objects. */
  readonly objectDirectory: string;
  /** Map name → rows, for maps that do not exist yet; bpf/lib has the defaults. */
  readonly maxEntries?: ReadonlyMap<string, number>;
}

export interface Datapath extends Disposable {
  readonly maps: DatapathMaps;
  /** Attaches from_pod and to_pod to the host side of a pod's veth pair, anew after each open. */
  attachPod(ifindex: number): void;
  /** Gives file descriptors back; forwarding goes on. */
  close(): void;
}

/** Linux' own choice for VXLAN, older than the registered 4789, and Cilium's. */
const OVERLAY_PORT = 8472;

/** Objects whose programs are attached to the cgroup: sockops first, so that no flow is missed. */
const SOCKET_OBJECTS = ["sockops", "socket"] as const;

/** Throws `permission_denied`, `unsupported`, or `conflict` for maps of another layout. */
export function openDatapath(options: DatapathOptions): Datapath {
  const { bpfRoot, overlayInterface, overlayPort = OVERLAY_PORT } = options;
  const overlayIfindex =
    overlayInterface === undefined ? 0 : interfaceIndexFromName(overlayInterface);
  makeDirectories(bpfRoot);
  for (const name of SOCKET_OBJECTS) installSocketPrograms(options, name);
  const config = { ...identityConfig(options.cluster), overlayIfindex, overlayPort };
  installPrograms(options, "overlay", encodeConfig(overlayConfigCodec, config));
  installPrograms(options, "pod", encodeConfig(podConfigCodec, config));
  if (overlayIfindex !== 0) attachOverlay(bpfRoot, overlayIfindex);
  const maps = openDatapathMaps(bpfRoot);
  return {
    maps,
    attachPod: (ifindex) => attachPod(bpfRoot, ifindex),
    close: () => maps.close(),
    [Symbol.dispose]: () => maps.close(),
  };
}

/** The maps of a datapath that somebody else has opened: for the command line and the CNI plugin. */
export function openDatapathMaps(bpfRoot: string): DatapathMaps {
  const stack = new DisposableStack();
  const path = (name: string): string => join(bpfRoot, "maps", name);
  const open = <K, V>(spec: Parameters<typeof openPinnedMap<K, V>>[1]): BpfMap<K, V> =>
    stack.use(openPinnedMap(path(spec.name), spec));
  try {
    const maps = {
      services: open(specs.servicesMap),
      groups: open(specs.groupsMap),
      backendSlots: open(specs.backendSlotsMap),
      backends: open(specs.backendsMap),
      clusterState: open(specs.clusterStateMap),
      affinity: open(specs.affinityMap),
      reverseNat: open(specs.reverseNatMap),
      flows: open(specs.flowsMap),
      clusterEvidence: open(specs.clusterEvidenceMap),
      backendEvidence: open(specs.backendEvidenceMap),
      probes: open(specs.probesMap),
      probeRequests: open(specs.probeRequestsMap),
      faults: open(specs.faultsMap),
      ipcache: open(specs.ipcacheMap),
      endpoints: open(specs.endpointsMap),
      policyNode: open(specs.policyNodeMap),
      policyState: open(specs.policyStateMap),
      connections: open(specs.connectionsMap),
      drops: stack.use(
        openPinnedCounts(path("drops"), { spec: specs.dropsMap, numbers: DropReason }),
      ),
      counters: stack.use(
        openPinnedCounts(path("counters"), { spec: specs.countersMap, numbers: Counter }),
      ),
    };
    return { ...maps, close: () => stack.dispose(), [Symbol.dispose]: () => stack.dispose() };
  } catch (error) {
    stack.dispose();
    throw error;
  }
}

/** The program at each side of a pod's host interface, as the interface sees it. */
const POD_PROGRAMS = { ingress: "from_pod", egress: "to_pod" } as const;
const POD_DIRECTIONS = ["egress", "ingress"] as const;

/**
 * Attaches the pinned to_pod and from_pod; needs no open datapath, so the CNI plugin can do it
 * alone.
 */
export function attachPod(bpfRoot: string, ifindex: number): void {
  for (const direction of POD_DIRECTIONS) {
    const programPath = join(bpfRoot, "programs", POD_PROGRAMS[direction]);
    attachClassifier({ ifindex, direction, programPath });
  }
}

/** Of an interface that stays without us. Detaching what is not attached is success. */
export function detachPod(ifindex: number): void {
  for (const direction of POD_DIRECTIONS) detachClassifier({ ifindex, direction });
}

/** The programs that should be at the pod's host interface and are not. */
export function missingPodPrograms(ifindex: number): string[] {
  return POD_DIRECTIONS.filter((direction) => !hasClassifier({ ifindex, direction })).map(
    (direction) => POD_PROGRAMS[direction],
  );
}

/**
 * Unpins everything: links first, so that no socket is translated by maps that go away. Filters
 * of pods go with their interfaces; the overlay's are detached if it still is there.
 */
export function removeDatapath(
  bpfRoot: string,
  { overlayIfindex }: { readonly overlayIfindex?: number } = {},
): void {
  if (overlayIfindex !== undefined) {
    detachClassifier({ ifindex: overlayIfindex, direction: "egress" });
    detachClassifier({ ifindex: overlayIfindex, direction: "ingress" });
  }
  for (const directory of ["links", "programs", "maps"]) {
    const path = join(bpfRoot, directory);
    if (!existsSync(path)) continue;
    for (const name of readdirSync(path)) rmSync(join(path, name));
    rmSync(path, { recursive: true });
  }
}

function makeDirectories(bpfRoot: string): void {
  mkdirSync(bpfRoot, { recursive: true, mode: 0o700 });
  if (!isBpffs(bpfRoot))
    throw new MeshError(
      "invalid_argument",
      `Cannot use "${bpfRoot}" as BPF root: it lies in no bpf file system`,
      { hint: `mount one: \`mount -t bpf bpf ${bpfRoot}\`` },
    );
  for (const path of ["maps", "links", "programs"])
    mkdirSync(join(bpfRoot, path), { recursive: true, mode: 0o700 });
}

function installSocketPrograms(options: DatapathOptions, name: string): void {
  using object = openObject(join(options.objectDirectory, `${name}.bpf.o`));
  const { programs } = loadObject(object, loadOptions(options));
  for (const [hook, program] of programs)
    attachToCgroup(program, {
      cgroupPath: options.cgroupPath,
      path: join(options.bpfRoot, "links", hook),
    });
}

function installPrograms(options: DatapathOptions, name: string, config?: Uint8Array): void {
  using object = openObject(join(options.objectDirectory, `${name}.bpf.o`));
  const loaded = loadObject(object, {
    ...loadOptions(options),
    ...(config === undefined ? {} : { config }),
  });
  for (const program of loaded.programs.values())
    replacePin(program.fd, join(options.bpfRoot, "programs", program.name));
}

function attachOverlay(bpfRoot: string, ifindex: number): void {
  const program = (name: string): string => join(bpfRoot, "programs", name);
  attachClassifier({ ifindex, direction: "egress", programPath: program("to_overlay") });
  attachClassifier({ ifindex, direction: "ingress", programPath: program("from_overlay") });
}

/** All zero for a node that does not know its cluster. */
function identityConfig(
  cluster: DatapathOptions["cluster"],
): Omit<PodConfig, "overlayIfindex" | "overlayPort"> {
  if (cluster === undefined) return { ownIdentityFirst: 0, ownIdentityLast: 0, clusterIdShift: 0 };
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  const clusterIdShift = identityClusterShift(cluster.maxConnectedClusters);
  return { ownIdentityFirst: first, ownIdentityLast: last, clusterIdShift };
}

function loadOptions({ bpfRoot, maxEntries }: DatapathOptions): LoadOptions {
  return {
    mapDirectory: join(bpfRoot, "maps"),
    specs: specs.ALL_MAPS,
    ...(maxEntries === undefined ? {} : { maxEntries }),
  };
}

function encodeConfig<T>(codec: Codec<T>, config: T): Uint8Array {
  const memory = createMemory(codec.size);
  codec.encode(config, memory, 0);
  return memory.bytes;
}

// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.
import { clearBytes, readBytes, writeBytes, type Codec } from "../codec.ts";

export const BackendState = {
  active: 0,
  down: 1,
} as const;
export type BackendState = (typeof BackendState)[keyof typeof BackendState];

export const ClusterDrill = {
  none: 0,
  down: 1,
} as const;
export type ClusterDrill = (typeof ClusterDrill)[keyof typeof ClusterDrill];

export const ClusterHealth = {
  healthy: 0,
  suspect: 1,
  down: 2,
  lastResort: 3,
} as const;
export type ClusterHealth = (typeof ClusterHealth)[keyof typeof ClusterHealth];

export const FaultDirection = {
  nowhere: 0,
  outbound: 1,
  inbound: 2,
  bothWays: 3,
} as const;
export type FaultDirection = (typeof FaultDirection)[keyof typeof FaultDirection];

export const FlowState = {
  connecting: 0,
  established: 1,
} as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

export const IpProtocol = {
  tcp: 6,
  udp: 17,
} as const;
export type IpProtocol = (typeof IpProtocol)[keyof typeof IpProtocol];

export interface Affinity {
  readonly lastUsedNs: bigint;
  readonly backendId: number;
  readonly clusterId: number;
  readonly slot: number;
}

export const affinityCodec: Codec<Affinity> = {
  name: "affinity",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.lastUsedNs, true);
    memory.view.setUint32(offset + 8, value.backendId, true);
    memory.view.setUint16(offset + 12, value.clusterId, true);
    memory.view.setUint16(offset + 14, value.slot, true);
  },
  decode: (memory, offset) => ({
    lastUsedNs: memory.view.getBigUint64(offset, true),
    backendId: memory.view.getUint32(offset + 8, true),
    clusterId: memory.view.getUint16(offset + 12, true),
    slot: memory.view.getUint16(offset + 14, true),
  }),
};

export interface AffinityKey {
  readonly client: bigint;
  readonly serviceId: number;
}

export const affinityKeyCodec: Codec<AffinityKey> = {
  name: "affinity_key",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.client, true);
    memory.view.setUint32(offset + 8, value.serviceId, true);
    clearBytes(memory, offset + 12, 4);
  },
  decode: (memory, offset) => ({
    client: memory.view.getBigUint64(offset, true),
    serviceId: memory.view.getUint32(offset + 8, true),
  }),
};

export interface Backend {
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: IpProtocol;
  readonly state: BackendState;
  readonly clusterId: number;
}

export const backendCodec: Codec<Backend> = {
  name: "backend",
  size: 24,
  encode(value, memory, offset) {
    writeBytes(value.address, { memory, offset: offset, length: 16 });
    memory.view.setUint16(offset + 16, value.port, false);
    memory.view.setUint8(offset + 18, value.protocol);
    memory.view.setUint8(offset + 19, value.state);
    memory.view.setUint16(offset + 20, value.clusterId, true);
    clearBytes(memory, offset + 22, 2);
  },
  decode: (memory, offset) => ({
    address: readBytes(memory, offset, 16),
    port: memory.view.getUint16(offset + 16, false),
    protocol: memory.view.getUint8(offset + 18) as IpProtocol,
    state: memory.view.getUint8(offset + 19) as BackendState,
    clusterId: memory.view.getUint16(offset + 20, true),
  }),
};

export interface BackendEvidence {
  readonly failures: number;
  readonly retransmissions: number;
  readonly firstFailureNs: bigint;
  readonly lastFailureNs: bigint;
  readonly lastSuccessNs: bigint;
}

export const backendEvidenceCodec: Codec<BackendEvidence> = {
  name: "backend_evidence",
  size: 32,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.failures, true);
    memory.view.setUint32(offset + 4, value.retransmissions, true);
    memory.view.setBigUint64(offset + 8, value.firstFailureNs, true);
    memory.view.setBigUint64(offset + 16, value.lastFailureNs, true);
    memory.view.setBigUint64(offset + 24, value.lastSuccessNs, true);
  },
  decode: (memory, offset) => ({
    failures: memory.view.getUint32(offset, true),
    retransmissions: memory.view.getUint32(offset + 4, true),
    firstFailureNs: memory.view.getBigUint64(offset + 8, true),
    lastFailureNs: memory.view.getBigUint64(offset + 16, true),
    lastSuccessNs: memory.view.getBigUint64(offset + 24, true),
  }),
};

export interface BackendKey {
  readonly backendId: number;
}

export const backendKeyCodec: Codec<BackendKey> = {
  name: "backend_key",
  size: 4,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.backendId, true);
  },
  decode: (memory, offset) => ({
    backendId: memory.view.getUint32(offset, true),
  }),
};

export interface BackendSlot {
  readonly backendId: number;
}

export const backendSlotCodec: Codec<BackendSlot> = {
  name: "backend_slot",
  size: 4,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.backendId, true);
  },
  decode: (memory, offset) => ({
    backendId: memory.view.getUint32(offset, true),
  }),
};

export interface BackendSlotKey {
  readonly serviceId: number;
  readonly clusterId: number;
  readonly slot: number;
}

export const backendSlotKeyCodec: Codec<BackendSlotKey> = {
  name: "backend_slot_key",
  size: 8,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.serviceId, true);
    memory.view.setUint16(offset + 4, value.clusterId, true);
    memory.view.setUint16(offset + 6, value.slot, true);
  },
  decode: (memory, offset) => ({
    serviceId: memory.view.getUint32(offset, true),
    clusterId: memory.view.getUint16(offset + 4, true),
    slot: memory.view.getUint16(offset + 6, true),
  }),
};

export interface ClusterEvidence {
  readonly connects: bigint;
  readonly established: bigint;
  readonly failed: bigint;
  readonly retransmissions: bigint;
  readonly aborted: bigint;
}

export const clusterEvidenceCodec: Codec<ClusterEvidence> = {
  name: "cluster_evidence",
  size: 40,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.connects, true);
    memory.view.setBigUint64(offset + 8, value.established, true);
    memory.view.setBigUint64(offset + 16, value.failed, true);
    memory.view.setBigUint64(offset + 24, value.retransmissions, true);
    memory.view.setBigUint64(offset + 32, value.aborted, true);
  },
  decode: (memory, offset) => ({
    connects: memory.view.getBigUint64(offset, true),
    established: memory.view.getBigUint64(offset + 8, true),
    failed: memory.view.getBigUint64(offset + 16, true),
    retransmissions: memory.view.getBigUint64(offset + 24, true),
    aborted: memory.view.getBigUint64(offset + 32, true),
  }),
};

export interface ClusterState {
  readonly drillExpiresNs: bigint;
  readonly drainExpiresNs: bigint;
  readonly healthIpv4: ClusterHealth;
  readonly healthIpv6: ClusterHealth;
  readonly heldBackPercentIpv4: number;
  readonly heldBackPercentIpv6: number;
  readonly drainedPercent: number;
  readonly drill: ClusterDrill;
}

export const clusterStateCodec: Codec<ClusterState> = {
  name: "cluster_state",
  size: 24,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.drillExpiresNs, true);
    memory.view.setBigUint64(offset + 8, value.drainExpiresNs, true);
    memory.view.setUint8(offset + 16, value.healthIpv4);
    memory.view.setUint8(offset + 17, value.healthIpv6);
    memory.view.setUint8(offset + 18, value.heldBackPercentIpv4);
    memory.view.setUint8(offset + 19, value.heldBackPercentIpv6);
    memory.view.setUint8(offset + 20, value.drainedPercent);
    memory.view.setUint8(offset + 21, value.drill);
    clearBytes(memory, offset + 22, 2);
  },
  decode: (memory, offset) => ({
    drillExpiresNs: memory.view.getBigUint64(offset, true),
    drainExpiresNs: memory.view.getBigUint64(offset + 8, true),
    healthIpv4: memory.view.getUint8(offset + 16) as ClusterHealth,
    healthIpv6: memory.view.getUint8(offset + 17) as ClusterHealth,
    heldBackPercentIpv4: memory.view.getUint8(offset + 18),
    heldBackPercentIpv6: memory.view.getUint8(offset + 19),
    drainedPercent: memory.view.getUint8(offset + 20),
    drill: memory.view.getUint8(offset + 21) as ClusterDrill,
  }),
};

export interface Count {
  readonly value: bigint;
}

export const countCodec: Codec<Count> = {
  name: "count",
  size: 8,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.value, true);
  },
  decode: (memory, offset) => ({
    value: memory.view.getBigUint64(offset, true),
  }),
};

export interface Endpoint {
  readonly ifindex: number;
  readonly podMac: Uint8Array;
  readonly hostMac: Uint8Array;
}

export const endpointCodec: Codec<Endpoint> = {
  name: "endpoint",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.ifindex, true);
    writeBytes(value.podMac, { memory, offset: offset + 4, length: 6 });
    writeBytes(value.hostMac, { memory, offset: offset + 10, length: 6 });
  },
  decode: (memory, offset) => ({
    ifindex: memory.view.getUint32(offset, true),
    podMac: readBytes(memory, offset + 4, 6),
    hostMac: readBytes(memory, offset + 10, 6),
  }),
};

export interface EndpointKey {
  readonly address: Uint8Array;
}

export const endpointKeyCodec: Codec<EndpointKey> = {
  name: "endpoint_key",
  size: 16,
  encode(value, memory, offset) {
    writeBytes(value.address, { memory, offset: offset, length: 16 });
  },
  decode: (memory, offset) => ({
    address: readBytes(memory, offset, 16),
  }),
};

export interface Fault {
  readonly expiresNs: bigint;
  readonly packets: bigint;
  readonly drill: number;
  readonly seed: number;
  readonly slowPriority: number;
  readonly directions: FaultDirection;
  readonly flowPercent: number;
  readonly dropPercent: number;
  readonly refuse: number;
}

export const faultCodec: Codec<Fault> = {
  name: "fault",
  size: 32,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.expiresNs, true);
    memory.view.setBigUint64(offset + 8, value.packets, true);
    memory.view.setUint32(offset + 16, value.drill, true);
    memory.view.setUint32(offset + 20, value.seed, true);
    memory.view.setUint32(offset + 24, value.slowPriority, true);
    memory.view.setUint8(offset + 28, value.directions);
    memory.view.setUint8(offset + 29, value.flowPercent);
    memory.view.setUint8(offset + 30, value.dropPercent);
    memory.view.setUint8(offset + 31, value.refuse);
  },
  decode: (memory, offset) => ({
    expiresNs: memory.view.getBigUint64(offset, true),
    packets: memory.view.getBigUint64(offset + 8, true),
    drill: memory.view.getUint32(offset + 16, true),
    seed: memory.view.getUint32(offset + 20, true),
    slowPriority: memory.view.getUint32(offset + 24, true),
    directions: memory.view.getUint8(offset + 28) as FaultDirection,
    flowPercent: memory.view.getUint8(offset + 29),
    dropPercent: memory.view.getUint8(offset + 30),
    refuse: memory.view.getUint8(offset + 31),
  }),
};

export interface Flow {
  readonly netnsCookie: bigint;
  readonly startedNs: bigint;
  readonly serviceId: number;
  readonly backendId: number;
  readonly clusterId: number;
  readonly protocol: IpProtocol;
  readonly state: FlowState;
  readonly port: number;
  readonly address: Uint8Array;
}

export const flowCodec: Codec<Flow> = {
  name: "flow",
  size: 48,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.netnsCookie, true);
    memory.view.setBigUint64(offset + 8, value.startedNs, true);
    memory.view.setUint32(offset + 16, value.serviceId, true);
    memory.view.setUint32(offset + 20, value.backendId, true);
    memory.view.setUint16(offset + 24, value.clusterId, true);
    memory.view.setUint8(offset + 26, value.protocol);
    memory.view.setUint8(offset + 27, value.state);
    memory.view.setUint16(offset + 28, value.port, false);
    clearBytes(memory, offset + 30, 2);
    writeBytes(value.address, { memory, offset: offset + 32, length: 16 });
  },
  decode: (memory, offset) => ({
    netnsCookie: memory.view.getBigUint64(offset, true),
    startedNs: memory.view.getBigUint64(offset + 8, true),
    serviceId: memory.view.getUint32(offset + 16, true),
    backendId: memory.view.getUint32(offset + 20, true),
    clusterId: memory.view.getUint16(offset + 24, true),
    protocol: memory.view.getUint8(offset + 26) as IpProtocol,
    state: memory.view.getUint8(offset + 27) as FlowState,
    port: memory.view.getUint16(offset + 28, false),
    address: readBytes(memory, offset + 32, 16),
  }),
};

export interface FlowKey {
  readonly socketCookie: bigint;
}

export const flowKeyCodec: Codec<FlowKey> = {
  name: "flow_key",
  size: 8,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.socketCookie, true);
  },
  decode: (memory, offset) => ({
    socketCookie: memory.view.getBigUint64(offset, true),
  }),
};

export interface Group {
  readonly clusterId: number;
  readonly tier: number;
  readonly weight: number;
  readonly backendCount: number;
}

export const groupCodec: Codec<Group> = {
  name: "group",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setUint16(offset, value.clusterId, true);
    memory.view.setUint8(offset + 2, value.tier);
    clearBytes(memory, offset + 3, 1);
    memory.view.setUint32(offset + 4, value.weight, true);
    memory.view.setUint32(offset + 8, value.backendCount, true);
    clearBytes(memory, offset + 12, 4);
  },
  decode: (memory, offset) => ({
    clusterId: memory.view.getUint16(offset, true),
    tier: memory.view.getUint8(offset + 2),
    weight: memory.view.getUint32(offset + 4, true),
    backendCount: memory.view.getUint32(offset + 8, true),
  }),
};

export interface GroupKey {
  readonly serviceId: number;
  readonly index: number;
}

export const groupKeyCodec: Codec<GroupKey> = {
  name: "group_key",
  size: 8,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.serviceId, true);
    memory.view.setUint16(offset + 4, value.index, true);
    clearBytes(memory, offset + 6, 2);
  },
  decode: (memory, offset) => ({
    serviceId: memory.view.getUint32(offset, true),
    index: memory.view.getUint16(offset + 4, true),
  }),
};

export interface IpcacheEntry {
  readonly identity: number;
  readonly tunnelEndpoint: Uint8Array;
  readonly clusterId: number;
  readonly encryptionKey: number;
}

export const ipcacheEntryCodec: Codec<IpcacheEntry> = {
  name: "ipcache_entry",
  size: 24,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.identity, true);
    writeBytes(value.tunnelEndpoint, { memory, offset: offset + 4, length: 16 });
    memory.view.setUint16(offset + 20, value.clusterId, true);
    memory.view.setUint8(offset + 22, value.encryptionKey);
    clearBytes(memory, offset + 23, 1);
  },
  decode: (memory, offset) => ({
    identity: memory.view.getUint32(offset, true),
    tunnelEndpoint: readBytes(memory, offset + 4, 16),
    clusterId: memory.view.getUint16(offset + 20, true),
    encryptionKey: memory.view.getUint8(offset + 22),
  }),
};

export interface IpcacheKey {
  readonly prefixLength: number;
  readonly address: Uint8Array;
}

export const ipcacheKeyCodec: Codec<IpcacheKey> = {
  name: "ipcache_key",
  size: 20,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.prefixLength, true);
    writeBytes(value.address, { memory, offset: offset + 4, length: 16 });
  },
  decode: (memory, offset) => ({
    prefixLength: memory.view.getUint32(offset, true),
    address: readBytes(memory, offset + 4, 16),
  }),
};

export interface Probe {
  readonly address: Uint8Array;
  readonly cookie: bigint;
  readonly lastReplyNs: bigint;
  readonly replies: bigint;
  readonly roundTripNs: bigint;
  readonly lastSequence: number;
}

export const probeCodec: Codec<Probe> = {
  name: "probe",
  size: 56,
  encode(value, memory, offset) {
    writeBytes(value.address, { memory, offset: offset, length: 16 });
    memory.view.setBigUint64(offset + 16, value.cookie, true);
    memory.view.setBigUint64(offset + 24, value.lastReplyNs, true);
    memory.view.setBigUint64(offset + 32, value.replies, true);
    memory.view.setBigUint64(offset + 40, value.roundTripNs, true);
    memory.view.setUint32(offset + 48, value.lastSequence, true);
    clearBytes(memory, offset + 52, 4);
  },
  decode: (memory, offset) => ({
    address: readBytes(memory, offset, 16),
    cookie: memory.view.getBigUint64(offset + 16, true),
    lastReplyNs: memory.view.getBigUint64(offset + 24, true),
    replies: memory.view.getBigUint64(offset + 32, true),
    roundTripNs: memory.view.getBigUint64(offset + 40, true),
    lastSequence: memory.view.getUint32(offset + 48, true),
  }),
};

export interface ProbePayload {
  readonly cookie: bigint;
  readonly sentNs: bigint;
  readonly target: number;
  readonly sequence: number;
}

export const probePayloadCodec: Codec<ProbePayload> = {
  name: "probe_payload",
  size: 24,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.cookie, true);
    memory.view.setBigUint64(offset + 8, value.sentNs, true);
    memory.view.setUint32(offset + 16, value.target, true);
    memory.view.setUint32(offset + 20, value.sequence, true);
  },
  decode: (memory, offset) => ({
    cookie: memory.view.getBigUint64(offset, true),
    sentNs: memory.view.getBigUint64(offset + 8, true),
    target: memory.view.getUint32(offset + 16, true),
    sequence: memory.view.getUint32(offset + 20, true),
  }),
};

export interface ProbeRequest {
  readonly lastNs: bigint;
  readonly count: bigint;
}

export const probeRequestCodec: Codec<ProbeRequest> = {
  name: "probe_request",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.lastNs, true);
    memory.view.setBigUint64(offset + 8, value.count, true);
  },
  decode: (memory, offset) => ({
    lastNs: memory.view.getBigUint64(offset, true),
    count: memory.view.getBigUint64(offset + 8, true),
  }),
};

export interface ReverseNat {
  readonly address: Uint8Array;
  readonly port: number;
}

export const reverseNatCodec: Codec<ReverseNat> = {
  name: "reverse_nat",
  size: 24,
  encode(value, memory, offset) {
    writeBytes(value.address, { memory, offset: offset, length: 16 });
    memory.view.setUint16(offset + 16, value.port, false);
    clearBytes(memory, offset + 18, 6);
  },
  decode: (memory, offset) => ({
    address: readBytes(memory, offset, 16),
    port: memory.view.getUint16(offset + 16, false),
  }),
};

export interface ReverseNatKey {
  readonly socketCookie: bigint;
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: IpProtocol;
}

export const reverseNatKeyCodec: Codec<ReverseNatKey> = {
  name: "reverse_nat_key",
  size: 32,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.socketCookie, true);
    writeBytes(value.address, { memory, offset: offset + 8, length: 16 });
    memory.view.setUint16(offset + 24, value.port, false);
    memory.view.setUint8(offset + 26, value.protocol);
    clearBytes(memory, offset + 27, 5);
  },
  decode: (memory, offset) => ({
    socketCookie: memory.view.getBigUint64(offset, true),
    address: readBytes(memory, offset + 8, 16),
    port: memory.view.getUint16(offset + 24, false),
    protocol: memory.view.getUint8(offset + 26) as IpProtocol,
  }),
};

export interface Service {
  readonly serviceId: number;
  readonly groupCount: number;
  readonly affinityTimeoutSeconds: number;
}

export const serviceCodec: Codec<Service> = {
  name: "service",
  size: 16,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.serviceId, true);
    memory.view.setUint16(offset + 4, value.groupCount, true);
    clearBytes(memory, offset + 6, 2);
    memory.view.setUint32(offset + 8, value.affinityTimeoutSeconds, true);
    clearBytes(memory, offset + 12, 4);
  },
  decode: (memory, offset) => ({
    serviceId: memory.view.getUint32(offset, true),
    groupCount: memory.view.getUint16(offset + 4, true),
    affinityTimeoutSeconds: memory.view.getUint32(offset + 8, true),
  }),
};

export interface ServiceKey {
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: IpProtocol;
}

export const serviceKeyCodec: Codec<ServiceKey> = {
  name: "service_key",
  size: 20,
  encode(value, memory, offset) {
    writeBytes(value.address, { memory, offset: offset, length: 16 });
    memory.view.setUint16(offset + 16, value.port, false);
    memory.view.setUint8(offset + 18, value.protocol);
    clearBytes(memory, offset + 19, 1);
  },
  decode: (memory, offset) => ({
    address: readBytes(memory, offset, 16),
    port: memory.view.getUint16(offset + 16, false),
    protocol: memory.view.getUint8(offset + 18) as IpProtocol,
  }),
};

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

export const ConnectionState = {
  opening: 0,
  open: 1,
  closing: 2,
  closed: 3,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

export const FaultDirection = {
  nowhere: 0,
  outbound: 1,
  inbound: 2,
  bothWays: 3,
} as const;
export type FaultDirection = (typeof FaultDirection)[keyof typeof FaultDirection];

export const FlowKind = {
  new: 1,
  update: 2,
  closed: 3,
  dropped: 4,
} as const;
export type FlowKind = (typeof FlowKind)[keyof typeof FlowKind];

export const FlowState = {
  connecting: 0,
  established: 1,
} as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

export const FlowVerdict = {
  forwarded: 1,
  dropped: 2,
} as const;
export type FlowVerdict = (typeof FlowVerdict)[keyof typeof FlowVerdict];

export const IpProtocol = {
  tcp: 6,
  udp: 17,
} as const;
export type IpProtocol = (typeof IpProtocol)[keyof typeof IpProtocol];

export const PolicyEnforcement = {
  closed: 0,
  on: 1,
} as const;
export type PolicyEnforcement = (typeof PolicyEnforcement)[keyof typeof PolicyEnforcement];

export const PolicyMode = {
  off: 0,
  closed: 1,
  open: 2,
} as const;
export type PolicyMode = (typeof PolicyMode)[keyof typeof PolicyMode];

export const PolicyVerdict = {
  allow: 1,
  deny: 2,
} as const;
export type PolicyVerdict = (typeof PolicyVerdict)[keyof typeof PolicyVerdict];

export const TrafficDirection = {
  ingress: 1,
  egress: 2,
} as const;
export type TrafficDirection = (typeof TrafficDirection)[keyof typeof TrafficDirection];

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

export interface Connection {
  readonly createdNs: bigint;
  readonly lastSeenNs: bigint;
  readonly lastReportNs: bigint;
  readonly sentPackets: bigint;
  readonly sentBytes: bigint;
  readonly receivedPackets: bigint;
  readonly receivedBytes: bigint;
  readonly reportedSentPackets: bigint;
  readonly reportedSentBytes: bigint;
  readonly reportedReceivedPackets: bigint;
  readonly reportedReceivedBytes: bigint;
  readonly remoteIdentity: number;
  readonly rule: number;
  readonly revision: number;
  readonly ifindex: number;
  readonly direction: TrafficDirection;
  readonly state: ConnectionState;
  readonly sentFlags: number;
  readonly receivedFlags: number;
}

export const connectionCodec: Codec<Connection> = {
  name: "connection",
  size: 112,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.createdNs, true);
    memory.view.setBigUint64(offset + 8, value.lastSeenNs, true);
    memory.view.setBigUint64(offset + 16, value.lastReportNs, true);
    memory.view.setBigUint64(offset + 24, value.sentPackets, true);
    memory.view.setBigUint64(offset + 32, value.sentBytes, true);
    memory.view.setBigUint64(offset + 40, value.receivedPackets, true);
    memory.view.setBigUint64(offset + 48, value.receivedBytes, true);
    memory.view.setBigUint64(offset + 56, value.reportedSentPackets, true);
    memory.view.setBigUint64(offset + 64, value.reportedSentBytes, true);
    memory.view.setBigUint64(offset + 72, value.reportedReceivedPackets, true);
    memory.view.setBigUint64(offset + 80, value.reportedReceivedBytes, true);
    memory.view.setUint32(offset + 88, value.remoteIdentity, true);
    memory.view.setUint32(offset + 92, value.rule, true);
    memory.view.setUint32(offset + 96, value.revision, true);
    memory.view.setUint32(offset + 100, value.ifindex, true);
    memory.view.setUint8(offset + 104, value.direction);
    memory.view.setUint8(offset + 105, value.state);
    memory.view.setUint8(offset + 106, value.sentFlags);
    memory.view.setUint8(offset + 107, value.receivedFlags);
    clearBytes(memory, offset + 108, 4);
  },
  decode: (memory, offset) => ({
    createdNs: memory.view.getBigUint64(offset, true),
    lastSeenNs: memory.view.getBigUint64(offset + 8, true),
    lastReportNs: memory.view.getBigUint64(offset + 16, true),
    sentPackets: memory.view.getBigUint64(offset + 24, true),
    sentBytes: memory.view.getBigUint64(offset + 32, true),
    receivedPackets: memory.view.getBigUint64(offset + 40, true),
    receivedBytes: memory.view.getBigUint64(offset + 48, true),
    reportedSentPackets: memory.view.getBigUint64(offset + 56, true),
    reportedSentBytes: memory.view.getBigUint64(offset + 64, true),
    reportedReceivedPackets: memory.view.getBigUint64(offset + 72, true),
    reportedReceivedBytes: memory.view.getBigUint64(offset + 80, true),
    remoteIdentity: memory.view.getUint32(offset + 88, true),
    rule: memory.view.getUint32(offset + 92, true),
    revision: memory.view.getUint32(offset + 96, true),
    ifindex: memory.view.getUint32(offset + 100, true),
    direction: memory.view.getUint8(offset + 104) as TrafficDirection,
    state: memory.view.getUint8(offset + 105) as ConnectionState,
    sentFlags: memory.view.getUint8(offset + 106),
    receivedFlags: memory.view.getUint8(offset + 107),
  }),
};

export interface ConnectionKey {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  readonly localPort: number;
  readonly remotePort: number;
  readonly protocol: number;
}

export const connectionKeyCodec: Codec<ConnectionKey> = {
  name: "connection_key",
  size: 40,
  encode(value, memory, offset) {
    writeBytes(value.local, { memory, offset: offset, length: 16 });
    writeBytes(value.remote, { memory, offset: offset + 16, length: 16 });
    memory.view.setUint16(offset + 32, value.localPort, false);
    memory.view.setUint16(offset + 34, value.remotePort, false);
    memory.view.setUint8(offset + 36, value.protocol);
    clearBytes(memory, offset + 37, 3);
  },
  decode: (memory, offset) => ({
    local: readBytes(memory, offset, 16),
    remote: readBytes(memory, offset + 16, 16),
    localPort: memory.view.getUint16(offset + 32, false),
    remotePort: memory.view.getUint16(offset + 34, false),
    protocol: memory.view.getUint8(offset + 36),
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

export interface Denial {
  readonly lastReportNs: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly remoteIdentity: number;
  readonly rule: number;
  readonly tcpFlags: number;
  readonly icmpType: number;
  readonly icmpCode: number;
}

export const denialCodec: Codec<Denial> = {
  name: "denial",
  size: 40,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.lastReportNs, true);
    memory.view.setBigUint64(offset + 8, value.packets, true);
    memory.view.setBigUint64(offset + 16, value.bytes, true);
    memory.view.setUint32(offset + 24, value.remoteIdentity, true);
    memory.view.setUint32(offset + 28, value.rule, true);
    memory.view.setUint8(offset + 32, value.tcpFlags);
    memory.view.setUint8(offset + 33, value.icmpType);
    memory.view.setUint8(offset + 34, value.icmpCode);
    clearBytes(memory, offset + 35, 5);
  },
  decode: (memory, offset) => ({
    lastReportNs: memory.view.getBigUint64(offset, true),
    packets: memory.view.getBigUint64(offset + 8, true),
    bytes: memory.view.getBigUint64(offset + 16, true),
    remoteIdentity: memory.view.getUint32(offset + 24, true),
    rule: memory.view.getUint32(offset + 28, true),
    tcpFlags: memory.view.getUint8(offset + 32),
    icmpType: memory.view.getUint8(offset + 33),
    icmpCode: memory.view.getUint8(offset + 34),
  }),
};

export interface DenialKey {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly reason: number;
  readonly direction: TrafficDirection;
  readonly ifindex: number;
}

export const denialKeyCodec: Codec<DenialKey> = {
  name: "denial_key",
  size: 44,
  encode(value, memory, offset) {
    writeBytes(value.source, { memory, offset: offset, length: 16 });
    writeBytes(value.destination, { memory, offset: offset + 16, length: 16 });
    memory.view.setUint16(offset + 32, value.sourcePort, false);
    memory.view.setUint16(offset + 34, value.destinationPort, false);
    memory.view.setUint8(offset + 36, value.protocol);
    memory.view.setUint8(offset + 37, value.reason);
    memory.view.setUint8(offset + 38, value.direction);
    clearBytes(memory, offset + 39, 1);
    memory.view.setUint32(offset + 40, value.ifindex, true);
  },
  decode: (memory, offset) => ({
    source: readBytes(memory, offset, 16),
    destination: readBytes(memory, offset + 16, 16),
    sourcePort: memory.view.getUint16(offset + 32, false),
    destinationPort: memory.view.getUint16(offset + 34, false),
    protocol: memory.view.getUint8(offset + 36),
    reason: memory.view.getUint8(offset + 37),
    direction: memory.view.getUint8(offset + 38) as TrafficDirection,
    ifindex: memory.view.getUint32(offset + 40, true),
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

export interface FlowRecord {
  readonly timeNs: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly replyPackets: bigint;
  readonly replyBytes: bigint;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly ifindex: number;
  readonly rule: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly kind: FlowKind;
  readonly verdict: FlowVerdict;
  readonly dropReason: number;
  readonly direction: TrafficDirection;
  readonly isReply: number;
  readonly protocol: number;
  readonly tcpFlags: number;
  readonly icmpType: number;
  readonly icmpCode: number;
}

export const flowRecordCodec: Codec<FlowRecord> = {
  name: "flow_record",
  size: 104,
  encode(value, memory, offset) {
    memory.view.setBigUint64(offset, value.timeNs, true);
    memory.view.setBigUint64(offset + 8, value.packets, true);
    memory.view.setBigUint64(offset + 16, value.bytes, true);
    memory.view.setBigUint64(offset + 24, value.replyPackets, true);
    memory.view.setBigUint64(offset + 32, value.replyBytes, true);
    writeBytes(value.source, { memory, offset: offset + 40, length: 16 });
    writeBytes(value.destination, { memory, offset: offset + 56, length: 16 });
    memory.view.setUint32(offset + 72, value.sourceIdentity, true);
    memory.view.setUint32(offset + 76, value.destinationIdentity, true);
    memory.view.setUint32(offset + 80, value.ifindex, true);
    memory.view.setUint32(offset + 84, value.rule, true);
    memory.view.setUint16(offset + 88, value.sourcePort, false);
    memory.view.setUint16(offset + 90, value.destinationPort, false);
    memory.view.setUint8(offset + 92, value.kind);
    memory.view.setUint8(offset + 93, value.verdict);
    memory.view.setUint8(offset + 94, value.dropReason);
    memory.view.setUint8(offset + 95, value.direction);
    memory.view.setUint8(offset + 96, value.isReply);
    memory.view.setUint8(offset + 97, value.protocol);
    memory.view.setUint8(offset + 98, value.tcpFlags);
    memory.view.setUint8(offset + 99, value.icmpType);
    memory.view.setUint8(offset + 100, value.icmpCode);
    clearBytes(memory, offset + 101, 3);
  },
  decode: (memory, offset) => ({
    timeNs: memory.view.getBigUint64(offset, true),
    packets: memory.view.getBigUint64(offset + 8, true),
    bytes: memory.view.getBigUint64(offset + 16, true),
    replyPackets: memory.view.getBigUint64(offset + 24, true),
    replyBytes: memory.view.getBigUint64(offset + 32, true),
    source: readBytes(memory, offset + 40, 16),
    destination: readBytes(memory, offset + 56, 16),
    sourceIdentity: memory.view.getUint32(offset + 72, true),
    destinationIdentity: memory.view.getUint32(offset + 76, true),
    ifindex: memory.view.getUint32(offset + 80, true),
    rule: memory.view.getUint32(offset + 84, true),
    sourcePort: memory.view.getUint16(offset + 88, false),
    destinationPort: memory.view.getUint16(offset + 90, false),
    kind: memory.view.getUint8(offset + 92) as FlowKind,
    verdict: memory.view.getUint8(offset + 93) as FlowVerdict,
    dropReason: memory.view.getUint8(offset + 94),
    direction: memory.view.getUint8(offset + 95) as TrafficDirection,
    isReply: memory.view.getUint8(offset + 96),
    protocol: memory.view.getUint8(offset + 97),
    tcpFlags: memory.view.getUint8(offset + 98),
    icmpType: memory.view.getUint8(offset + 99),
    icmpCode: memory.view.getUint8(offset + 100),
  }),
};

export interface Fragment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly protocol: number;
}

export const fragmentCodec: Codec<Fragment> = {
  name: "fragment",
  size: 8,
  encode(value, memory, offset) {
    memory.view.setUint16(offset, value.sourcePort, false);
    memory.view.setUint16(offset + 2, value.destinationPort, false);
    memory.view.setUint8(offset + 4, value.icmpType);
    memory.view.setUint8(offset + 5, value.icmpCode);
    memory.view.setUint8(offset + 6, value.protocol);
    clearBytes(memory, offset + 7, 1);
  },
  decode: (memory, offset) => ({
    sourcePort: memory.view.getUint16(offset, false),
    destinationPort: memory.view.getUint16(offset + 2, false),
    icmpType: memory.view.getUint8(offset + 4),
    icmpCode: memory.view.getUint8(offset + 5),
    protocol: memory.view.getUint8(offset + 6),
  }),
};

export interface FragmentKey {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly identification: number;
  readonly protocol: number;
}

export const fragmentKeyCodec: Codec<FragmentKey> = {
  name: "fragment_key",
  size: 40,
  encode(value, memory, offset) {
    writeBytes(value.source, { memory, offset: offset, length: 16 });
    writeBytes(value.destination, { memory, offset: offset + 16, length: 16 });
    memory.view.setUint32(offset + 32, value.identification, true);
    memory.view.setUint8(offset + 36, value.protocol);
    clearBytes(memory, offset + 37, 3);
  },
  decode: (memory, offset) => ({
    source: readBytes(memory, offset, 16),
    destination: readBytes(memory, offset + 16, 16),
    identification: memory.view.getUint32(offset + 32, true),
    protocol: memory.view.getUint8(offset + 36),
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

export interface InterfaceKey {
  readonly ifindex: number;
}

export const interfaceKeyCodec: Codec<InterfaceKey> = {
  name: "interface_key",
  size: 4,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.ifindex, true);
  },
  decode: (memory, offset) => ({
    ifindex: memory.view.getUint32(offset, true),
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

export interface PolicyEntry {
  readonly verdict: PolicyVerdict;
  readonly rule: number;
}

export const policyEntryCodec: Codec<PolicyEntry> = {
  name: "policy_entry",
  size: 8,
  encode(value, memory, offset) {
    memory.view.setUint8(offset, value.verdict);
    clearBytes(memory, offset + 1, 3);
    memory.view.setUint32(offset + 4, value.rule, true);
  },
  decode: (memory, offset) => ({
    verdict: memory.view.getUint8(offset) as PolicyVerdict,
    rule: memory.view.getUint32(offset + 4, true),
  }),
};

export interface PolicyKey {
  readonly prefixLength: number;
  readonly identity: number;
  readonly direction: TrafficDirection;
  readonly protocol: number;
  readonly port: number;
}

export const policyKeyCodec: Codec<PolicyKey> = {
  name: "policy_key",
  size: 12,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.prefixLength, true);
    memory.view.setUint32(offset + 4, value.identity, true);
    memory.view.setUint8(offset + 8, value.direction);
    memory.view.setUint8(offset + 9, value.protocol);
    memory.view.setUint16(offset + 10, value.port, false);
  },
  decode: (memory, offset) => ({
    prefixLength: memory.view.getUint32(offset, true),
    identity: memory.view.getUint32(offset + 4, true),
    direction: memory.view.getUint8(offset + 8) as TrafficDirection,
    protocol: memory.view.getUint8(offset + 9),
    port: memory.view.getUint16(offset + 10, false),
  }),
};

export interface PolicyNode {
  readonly mode: PolicyMode;
}

export const policyNodeCodec: Codec<PolicyNode> = {
  name: "policy_node",
  size: 4,
  encode(value, memory, offset) {
    memory.view.setUint8(offset, value.mode);
    clearBytes(memory, offset + 1, 3);
  },
  decode: (memory, offset) => ({
    mode: memory.view.getUint8(offset) as PolicyMode,
  }),
};

export interface PolicyState {
  readonly identity: number;
  readonly revision: number;
  readonly enforcement: PolicyEnforcement;
}

export const policyStateCodec: Codec<PolicyState> = {
  name: "policy_state",
  size: 12,
  encode(value, memory, offset) {
    memory.view.setUint32(offset, value.identity, true);
    memory.view.setUint32(offset + 4, value.revision, true);
    memory.view.setUint8(offset + 8, value.enforcement);
    clearBytes(memory, offset + 9, 3);
  },
  decode: (memory, offset) => ({
    identity: memory.view.getUint32(offset, true),
    revision: memory.view.getUint32(offset + 4, true),
    enforcement: memory.view.getUint8(offset + 8) as PolicyEnforcement,
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

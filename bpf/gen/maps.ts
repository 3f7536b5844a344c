// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.
import { uint32Codec, type AnyMapSpec, type MapSpec } from "../codec.ts";
import {
  affinityCodec,
  type Affinity,
  affinityKeyCodec,
  type AffinityKey,
  backendCodec,
  type Backend,
  backendEvidenceCodec,
  type BackendEvidence,
  backendKeyCodec,
  type BackendKey,
  backendSlotCodec,
  type BackendSlot,
  backendSlotKeyCodec,
  type BackendSlotKey,
  clusterEvidenceCodec,
  type ClusterEvidence,
  clusterStateCodec,
  type ClusterState,
  connectionCodec,
  type Connection,
  connectionKeyCodec,
  type ConnectionKey,
  countCodec,
  type Count,
  denialCodec,
  type Denial,
  denialKeyCodec,
  type DenialKey,
  endpointCodec,
  type Endpoint,
  endpointKeyCodec,
  type EndpointKey,
  faultCodec,
  type Fault,
  flowCodec,
  type Flow,
  flowKeyCodec,
  type FlowKey,
  fragmentCodec,
  type Fragment,
  fragmentKeyCodec,
  type FragmentKey,
  groupCodec,
  type Group,
  groupKeyCodec,
  type GroupKey,
  interfaceKeyCodec,
  type InterfaceKey,
  ipcacheEntryCodec,
  type IpcacheEntry,
  ipcacheKeyCodec,
  type IpcacheKey,
  policyEntryCodec,
  type PolicyEntry,
  policyKeyCodec,
  type PolicyKey,
  policyNodeCodec,
  type PolicyNode,
  policyStateCodec,
  type PolicyState,
  probeCodec,
  type Probe,
  probeRequestCodec,
  type ProbeRequest,
  reverseNatCodec,
  type ReverseNat,
  reverseNatKeyCodec,
  type ReverseNatKey,
  serviceCodec,
  type Service,
  serviceKeyCodec,
  type ServiceKey,
} from "./layout.ts";

export const affinityMap: MapSpec<AffinityKey, Affinity> = {
  name: "affinity",
  type: "lru_hash",
  maxEntries: 65536,
  flags: 0,
  key: affinityKeyCodec,
  value: affinityCodec,
};

export const backendEvidenceMap: MapSpec<BackendKey, BackendEvidence> = {
  name: "backend_evidence",
  type: "lru_hash",
  maxEntries: 16384,
  flags: 0,
  key: backendKeyCodec,
  value: backendEvidenceCodec,
};

export const backendSlotsMap: MapSpec<BackendSlotKey, BackendSlot> = {
  name: "backend_slots",
  type: "hash",
  maxEntries: 1048576,
  flags: 1,
  key: backendSlotKeyCodec,
  value: backendSlotCodec,
};

export const backendsMap: MapSpec<BackendKey, Backend> = {
  name: "backends",
  type: "hash",
  maxEntries: 524288,
  flags: 1,
  key: backendKeyCodec,
  value: backendCodec,
};

export const clusterEvidenceMap: MapSpec<number, ClusterEvidence> = {
  name: "cluster_evidence",
  type: "array",
  maxEntries: 512,
  flags: 0,
  key: uint32Codec,
  value: clusterEvidenceCodec,
};

export const clusterStateMap: MapSpec<number, ClusterState> = {
  name: "cluster_state",
  type: "array",
  maxEntries: 512,
  flags: 0,
  key: uint32Codec,
  value: clusterStateCodec,
};

export const connectionsMap: MapSpec<ConnectionKey, Connection> = {
  name: "connections",
  type: "lru_hash",
  maxEntries: 131072,
  flags: 0,
  key: connectionKeyCodec,
  value: connectionCodec,
};

export const countersMap: MapSpec<number, Count> = {
  name: "counters",
  type: "percpu_array",
  maxEntries: 16,
  flags: 0,
  key: uint32Codec,
  value: countCodec,
};

export const denialsMap: MapSpec<DenialKey, Denial> = {
  name: "denials",
  type: "lru_hash",
  maxEntries: 16384,
  flags: 0,
  key: denialKeyCodec,
  value: denialCodec,
};

export const dropsMap: MapSpec<number, Count> = {
  name: "drops",
  type: "percpu_array",
  maxEntries: 19,
  flags: 0,
  key: uint32Codec,
  value: countCodec,
};

export const endpointsMap: MapSpec<EndpointKey, Endpoint> = {
  name: "endpoints",
  type: "hash",
  maxEntries: 16384,
  flags: 1,
  key: endpointKeyCodec,
  value: endpointCodec,
};

export const faultsMap: MapSpec<number, Fault> = {
  name: "faults",
  type: "array",
  maxEntries: 512,
  flags: 0,
  key: uint32Codec,
  value: faultCodec,
};

export const flowRecordsMap: AnyMapSpec = {
  name: "flow_records",
  type: "ringbuf",
  maxEntries: 1048576,
  key: { size: 0 },
  value: { size: 0 },
};

export const flowsMap: MapSpec<FlowKey, Flow> = {
  name: "flows",
  type: "lru_hash",
  maxEntries: 131072,
  flags: 0,
  key: flowKeyCodec,
  value: flowCodec,
};

export const fragmentsMap: MapSpec<FragmentKey, Fragment> = {
  name: "fragments",
  type: "lru_hash",
  maxEntries: 8192,
  flags: 0,
  key: fragmentKeyCodec,
  value: fragmentCodec,
};

export const groupsMap: MapSpec<GroupKey, Group> = {
  name: "groups",
  type: "hash",
  maxEntries: 262144,
  flags: 1,
  key: groupKeyCodec,
  value: groupCodec,
};

export const ipcacheMap: MapSpec<IpcacheKey, IpcacheEntry> = {
  name: "ipcache",
  type: "lpm_trie",
  maxEntries: 1000000,
  flags: 1,
  key: ipcacheKeyCodec,
  value: ipcacheEntryCodec,
};

export const policiesMap: MapSpec<InterfaceKey, number> = {
  name: "policies",
  type: "hash_of_maps",
  maxEntries: 8192,
  flags: 1,
  key: interfaceKeyCodec,
  value: uint32Codec,
};

export const policyNodeMap: MapSpec<number, PolicyNode> = {
  name: "policy_node",
  type: "array",
  maxEntries: 1,
  flags: 0,
  key: uint32Codec,
  value: policyNodeCodec,
};

export const policyStateMap: MapSpec<InterfaceKey, PolicyState> = {
  name: "policy_state",
  type: "hash",
  maxEntries: 8192,
  flags: 1,
  key: interfaceKeyCodec,
  value: policyStateCodec,
};

export const probeRequestsMap: MapSpec<number, ProbeRequest> = {
  name: "probe_requests",
  type: "array",
  maxEntries: 512,
  flags: 0,
  key: uint32Codec,
  value: probeRequestCodec,
};

export const probesMap: MapSpec<number, Probe> = {
  name: "probes",
  type: "array",
  maxEntries: 2048,
  flags: 0,
  key: uint32Codec,
  value: probeCodec,
};

export const reverseNatMap: MapSpec<ReverseNatKey, ReverseNat> = {
  name: "reverse_nat",
  type: "lru_hash",
  maxEntries: 131072,
  flags: 0,
  key: reverseNatKeyCodec,
  value: reverseNatCodec,
};

export const servicesMap: MapSpec<ServiceKey, Service> = {
  name: "services",
  type: "hash",
  maxEntries: 131072,
  flags: 1,
  key: serviceKeyCodec,
  value: serviceCodec,
};

export const endpointPolicyMap: MapSpec<PolicyKey, PolicyEntry> = {
  name: "endpoint_policy",
  type: "lpm_trie",
  maxEntries: 16384,
  flags: 1,
  key: policyKeyCodec,
  value: policyEntryCodec,
};

export const ALL_MAPS: readonly AnyMapSpec[] = [
  affinityMap,
  backendEvidenceMap,
  backendSlotsMap,
  backendsMap,
  clusterEvidenceMap,
  clusterStateMap,
  connectionsMap,
  countersMap,
  denialsMap,
  dropsMap,
  endpointsMap,
  faultsMap,
  flowRecordsMap,
  flowsMap,
  fragmentsMap,
  groupsMap,
  ipcacheMap,
  policiesMap,
  policyNodeMap,
  policyStateMap,
  probeRequestsMap,
  probesMap,
  reverseNatMap,
  servicesMap,
];

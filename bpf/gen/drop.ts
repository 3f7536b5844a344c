// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.

export const DropReason = {
  none: 0,
  malformed: 1,
  noUsableCluster: 2,
  noBackend: 3,
  noTunnelEndpoint: 4,
  tunnelKey: 5,
  ttlExceeded: 6,
  sourceSpoofed: 7,
  notIp: 8,
  faultInjected: 9,
  policyDenied: 10,
  policyDenyRule: 11,
  policyPending: 12,
  policyOverflow: 13,
  fragment: 14,
  headerChain: 15,
  overlayForged: 16,
  tunnelSender: 17,
  tunnelIdentity: 18,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];
export const DROP_REASON_COUNT = 19;

// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.

export const Counter = {
  serviceTranslated: 0,
  serviceRefused: 1,
  affinityKept: 2,
  replyTranslated: 3,
  podToOverlay: 4,
  podToStack: 5,
  hostToOverlay: 6,
  overlayToPod: 7,
  overlayToStack: 8,
  probeAnswered: 9,
  flowRecordsLost: 10,
  connectionOpened: 11,
  connectionJudgedAgain: 12,
  connectionCut: 13,
  connectionCollected: 14,
  connectionUntracked: 15,
} as const;
export type Counter = (typeof Counter)[keyof typeof Counter];
export const COUNTER_COUNT = 16;

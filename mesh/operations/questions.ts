// What a drill asks of an agent or of an apiserver (`tombolo.ask.CLUSTER.NODE`), and the answers:
// JSON, one question a message. Everything that takes effect has an end of its own.

/** Which way packets of a fault go, seen from the node that injects it. */
export type FaultDirection = "both" | "outbound" | "inbound";

/** A fault of the datapath; the percentages are 0 … 100. */
export interface PacketFault {
  /** The other side: a cluster's name, or "" for every other node. */
  readonly peer: string;
  readonly direction: FaultDirection;
  /** Share of the flows it concerns; a flow is always in or always out. */
  readonly flowPercent: number;
  /** Share of those flows' packets that is dropped. */
  readonly dropPercent: number;
  /** Answer with a reset or "port unreachable" in place of dropping in silence. */
  readonly refuse: boolean;
  /** Packets take the slow way (see docs/drills.md, "Latency"). */
  readonly slow: boolean;
}

/** A fault of daemons, asked of an apiserver. */
export type DaemonFault = "etcd-kill" | "apiserver-kill" | "nats-kill" | "sessions-cut";

export interface CanaryOrder {
  readonly service: string;
  /** As the pods of the asked cluster reach it: "tcp:ADDRESS:PORT", "udp:[ADDRESS]:PORT". */
  readonly target: string;
  /**
   * `connect`: a connection that is made counts. `echo`: the backend answers a line "NUMBER" with
   * a line "CLUSTER/POD NUMBER", as the built-in responder does.
   */
  readonly protocol: "connect" | "echo";
  readonly perSecond: number;
  /** A request without an answer after this long has hung. */
  readonly timeoutMs: number;
  /** One connection that stays open beside them, to see what becomes of established flows. */
  readonly keepOne: boolean;
}

export type Question =
  | { readonly ask: "hello" }
  | { readonly ask: "health" }
  | { readonly ask: "snapshot" }
  | { readonly ask: "flows"; readonly service: string; readonly peer: string }
  | {
      readonly ask: "inject";
      readonly drill: string;
      readonly faults: readonly PacketFault[];
      /** From now; renewed by asking again; at most FAULT_TTL_MAX_MS. */
      readonly ttlMs: number;
    }
  | {
      readonly ask: "break";
      readonly drill: string;
      readonly fault: DaemonFault;
      readonly ttlMs: number;
    }
  | { readonly ask: "lift"; readonly drill: string }
  | {
      readonly ask: "canaries";
      readonly drill: string;
      readonly orders: readonly CanaryOrder[];
      readonly ttlMs: number;
    }
  | {
      readonly ask: "canary-records";
      readonly drill: string;
      /** Per order, how many records the asker has already. */
      readonly from: readonly number[];
    }
  | { readonly ask: "timeline"; readonly sinceMs: number };

/** A fault that is not renewed for this long is over, at the latest. */
export const FAULT_TTL_MAX_MS = 10_000;

/** Numbered from 0 within its order. */
export interface CanaryRecord {
  readonly n: number;
  readonly sentAtMs: number;
  /** Until the answer or the error; -1 while it is under way. */
  readonly ms: number;
  /** "CLUSTER/POD" or "CLUSTER"; "" without an answer. */
  readonly answer: string;
  /** "" for an answer; "hung" when there was none in time. */
  readonly error: string;
  /** Answers that came beyond the first. */
  readonly duplicates: number;
}

/** What a node has decided and done, in its own wall clock: the parts of the recovery time. */
export interface TimelineEntry {
  readonly timeMs: number;
  readonly what: "suspect" | "detected" | "decided" | "applied" | "flows-reset" | "recovered";
  readonly cluster: string;
  readonly text: string;
}

export interface HealthAnswer {
  readonly clusters: readonly {
    readonly name: string;
    readonly family: 4 | 6;
    readonly state: string;
  }[];
  readonly isolated: boolean;
}

/** Flows of the node's pods, by what their sockets say now. */
export interface FlowsAnswer {
  readonly established: number;
  readonly connecting: number;
  /** Since the agent started. */
  readonly reset: number;
}

export interface SnapshotAnswer {
  /** Map or kind of route → digest of its rows, without those that change by themselves. */
  readonly digests: Readonly<Record<string, string>>;
  readonly rows: Readonly<Record<string, number>>;
}

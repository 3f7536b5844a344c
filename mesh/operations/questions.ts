// What a drill asks of an agent or of an apiserver (`tombolo.ask.CLUSTER.NODE`), and the answers:
// JSON, one question a message. Everything that takes effect has an end of its own. `AnswerTo` says
// which answer belongs to which question.
import type { MinHealthy } from "../core/service.ts";

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
  /** Asked of an agent: what its datapath holds of its cluster's services, by name, in pages. */
  | {
      readonly ask: "services";
      /** The last name of the page before; "" for the first page. */
      readonly after: string;
    }
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
      /**
       * From now; at most BREAK_TTL_MAX_MS. Not renewed: who would be asked may be what is broken.
       * "lift" ends it where somebody can still be asked.
       */
      readonly ttlMs: number;
    }
  /** Ends every fault of that drill, or of any drill if it is "". Canaries go on. */
  | { readonly ask: "lift"; readonly drill: string }
  /**
   * Asked of an apiserver: one drill at a time. It writes the key of mesh/kvstore/drill-lock.ts
   * with a lease of `ttlMs` unless another drill holds it; the holder asks again to renew.
   * A renewal never takes the key anew: whoever took it away has stopped the drill.
   */
  | {
      readonly ask: "lock";
      readonly drill: string;
      /** Who runs it, in words for people. */
      readonly holder: string;
      readonly ttlMs: number;
      readonly renew: boolean;
    }
  /** Takes the key away if that drill holds it; with "" whoever holds it: the kill switch. */
  | { readonly ask: "unlock"; readonly drill: string }
  /** In place of what the same drill ordered before. Without orders: send no more; records stay. */
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
/** A broken daemon is mended after this long, at the latest. */
export const BREAK_TTL_MAX_MS = 15 * 60_000;
/** A lock outlives a drill whose apiserver cannot be asked any more. */
export const LOCK_TTL_MAX_MS = 30 * 60_000;
/** Canaries are ordered once for a whole run. */
export const CANARIES_TTL_MAX_MS = 60 * 60_000;

export interface HelloAnswer {
  readonly cluster: string;
  /** "_apiserver" for an apiserver. */
  readonly node: string;
  readonly version: string;
  /** Wall clock of the answerer: how far clocks are apart is estimated from it. */
  readonly timeMs: number;
  /** Of an apiserver: the nodes of its own cluster. Of an agent: empty. */
  readonly nodes: readonly string[];
  /** The other clusters that it is connected with. */
  readonly peers: readonly string[];
}

/** As many services as fit into 512 KiB or so; `more` are behind the last of them. */
export interface ServicesAnswer {
  readonly services: readonly ServiceFacts[];
  readonly more: boolean;
}

/** A service of the asked node's cluster, as that node's datapath chooses for it. */
export interface ServiceFacts {
  /** "NAMESPACE/NAME". */
  readonly service: string;
  readonly global: boolean;
  readonly minHealthy?: MinHealthy;
  readonly frontends: readonly {
    readonly address: string;
    readonly port: number;
    readonly protocol: "TCP" | "UDP";
    readonly groups: readonly GroupFacts[];
  }[];
}

export interface GroupFacts {
  readonly cluster: string;
  readonly tier: number;
  readonly weight: number;
  /** Whether its cluster may be given new connections now. */
  readonly usable: boolean;
  /** Whether new connections go there now. */
  readonly inUse: boolean;
  readonly backends: readonly {
    readonly address: string;
    readonly port: number;
    /** Name of the node that it lives on; "" if that is not known. */
    readonly node: string;
    readonly up: boolean;
  }[];
}

export type LockAnswer =
  | { readonly held: true }
  /** Which drill has it, and the holder's words; "" if a renewal finds that nobody has. */
  | { readonly held: false; readonly drill: string; readonly holder: string };

/** "inject", "break", "lift", "unlock", "canaries" are done when they are answered. */
export interface DoneAnswer {
  readonly done: true;
}

/** So many records an answer holds for each order; ask again for more. */
export const CANARY_RECORDS_MAX = 1_000;

export interface CanaryRecordsAnswer {
  /** In the order of the orders: the records from `from` on, up to the first under way. */
  readonly orders: readonly {
    readonly records: readonly CanaryRecord[];
    /** All of the order's kept connections (`keepOne`), oldest first; one that ends is replaced. */
    readonly kept: readonly KeptFlow[];
  }[];
}

/** A connection that is asked something now and then and otherwise stays open. */
export interface KeptFlow {
  readonly openedAtMs: number;
  /** "CLUSTER/POD" or "CLUSTER", as in CanaryRecord. */
  readonly answer: string;
  /** -1 while it is open. */
  readonly endedAtMs: number;
  /** "hung": it is open and answers nothing for longer than `timeoutMs`. */
  readonly end: "" | "closed" | "reset" | "hung";
}

export interface TimelineAnswer {
  readonly entries: readonly TimelineEntry[];
}

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

/** Which answer each question gets. */
export interface Answers {
  readonly hello: HelloAnswer;
  readonly services: ServicesAnswer;
  readonly health: HealthAnswer;
  readonly snapshot: SnapshotAnswer;
  readonly flows: FlowsAnswer;
  readonly inject: DoneAnswer;
  readonly break: DoneAnswer;
  readonly lift: DoneAnswer;
  readonly lock: LockAnswer;
  readonly unlock: DoneAnswer;
  readonly canaries: DoneAnswer;
  readonly "canary-records": CanaryRecordsAnswer;
  readonly timeline: TimelineAnswer;
}

export type AnswerTo<Asked extends Question> = Answers[Asked["ask"]];

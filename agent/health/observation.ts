// What the prober tells the judge each round, and what the judge answers. Types only.
//
//   prober ── Observation, once a round (100 ms) ──► judge ── Judgement ──► prober applies it
//
// All times are milliseconds of the monotonic clock that the kernel stamps probes with. Counters
// are totals since whenever they began (they may begin again); deltas are since the last round.
import type { ClusterId } from "../../mesh/core/cluster.ts";

export type Family = 4 | 6;

/** One probed node in one address family. */
export interface ProbedTarget {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  readonly node: string;
  /** Total of probes whose answer is due: sent at least one interval before `atMs`. */
  readonly sent: number;
  /** Total of answers so far. */
  readonly answered: number;
  /** When the last answer came, by the kernel; undefined: never. */
  readonly lastAnswerMs: number | undefined;
  /** Round trip of the last answer; undefined: none yet. */
  readonly roundTripMs: number | undefined;
}

/** What connections of pods to one cluster's backends came to since the last round. */
export interface PassiveEvidence {
  readonly clusterId: ClusterId;
  readonly connects: number;
  readonly established: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly aborted: number;
}

/** A backend about which there is news since the last round: deltas. Others are not listed. */
export interface BackendEvidence {
  readonly backendId: number;
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  /** The node that it runs on; undefined: not known. */
  readonly node: string | undefined;
  readonly failures: number;
  readonly established: number;
  readonly retransmissions: number;
}

export interface Observation {
  readonly atMs: number;
  /** The last round is more than 2.5 intervals ago: nothing follows from what was not answered. */
  readonly blind: boolean;
  /** Everything that is probed, each round in full; a cluster that is not in it is forgotten. */
  readonly targets: readonly ProbedTarget[];
  /** Cluster → when a probe of its nodes was last heard here. */
  readonly heardRequests: ReadonlyMap<ClusterId, number>;
  readonly passive: readonly PassiveEvidence[];
  readonly suspects: readonly BackendEvidence[];
}

/** A look between two rounds: nothing was asked since the last one, and all else is as in a round. */
export interface Glance extends Observation {
  /** When the requests of the last round had left. */
  readonly askedMs: number;
}

/** `unknown`, `healthy` and `suspect` are used; `recovering` in part; `down` is not. */
export type HealthState = "unknown" | "healthy" | "suspect" | "down" | "recovering";

/** Why a state is not `healthy`: probes unanswered, answered late, or connects refused. */
export type HealthReason = "silent" | "slow" | "refused";

export type HealthSubject =
  | {
      readonly kind: "cluster";
      readonly clusterId: ClusterId;
      readonly cluster: string;
      readonly family: Family;
    }
  | {
      readonly kind: "node";
      readonly clusterId: ClusterId;
      readonly cluster: string;
      readonly family: Family;
      readonly node: string;
    }
  | {
      readonly kind: "backend";
      readonly backendId: number;
      readonly clusterId: ClusterId;
      readonly cluster: string;
      readonly family: Family;
      readonly node: string | undefined;
    }
  | { readonly kind: "isolation" };

export interface Transition {
  readonly subject: HealthSubject;
  /** A step of the gradual return is a transition from `recovering` to `recovering`. */
  readonly from: HealthState | "connected" | "isolated";
  readonly to: HealthState | "connected" | "isolated";
  readonly atMs: number;
  /** Figures by name, with their units; `reason` says what decided. */
  readonly evidence: Readonly<Record<string, string | number>>;
}

/** A remote cluster in one address family. */
export interface ClusterView {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  readonly state: HealthState;
  /** Undefined while healthy or unknown. */
  readonly reason: HealthReason | undefined;
  /** Share of new connections that goes elsewhere if it can: 0 unless recovering. */
  readonly heldBackPercent: number;
  /** For status: what was lost lately, and the round trip against its own long-term value. */
  readonly lossPercent: number;
  readonly roundTripMs: number | undefined;
  readonly usualRoundTripMs: number | undefined;
}

/** A node in one address family; all of its backends in that family share its fate. */
export interface NodeView {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  readonly node: string;
}

/** A node to be probed besides (or more often than) what was planned, from the next round on. */
export interface ProbeRequest extends NodeView {
  readonly probesPerRound: number;
}

export interface HealthView {
  /** Remote clusters; our own is only a witness and never goes down. */
  readonly clusters: readonly ClusterView[];
  /** Also nodes of our own cluster. */
  readonly nodesDown: readonly NodeView[];
  /** Backends that are down for themselves; those on nodes that are down are not listed. */
  readonly backendsDown: readonly number[];
  /** Our own uplink is down: other nodes are the last resort, nobody is declared down. */
  readonly isolated: boolean;
  readonly probeAlso: readonly ProbeRequest[];
}

export interface Judgement {
  /** In the order in which they happened; empty in most rounds. */
  readonly transitions: readonly Transition[];
  readonly view: HealthView;
  /** Connects have begun to fail: looks between this round and the next may decide sooner. */
  readonly glanceAgain: boolean;
}

export interface Judge {
  /** One round. `atMs` never goes back. */
  step(observation: Observation): Judgement;
  /** Between two rounds; not while blind. Says what refused connects make certain already. */
  glance(glance: Glance): Judgement;
}

// Every figure that the judge decides by. docs/health.md says what follows from them.

export interface JudgeLimits {
  readonly intervalMs: number;
  /** Rounds in which nobody of a cluster answers, until it is suspect. */
  readonly suspectRounds: number;
  /** And until it is down: at least so many, more while probes are being lost, at most so many. */
  readonly downRounds: number;
  readonly downRoundsMax: number;
  /** The same for one node, while others of its cluster answer. */
  readonly nodeDownRounds: number;
  readonly nodeDownRoundsMax: number;
  /** Rounds in which nobody at all answers, until this node takes itself for cut off. */
  readonly isolationRounds: number;
  /** Somebody else must have answered within so many rounds for a silence to be the other's. */
  readonly witnessRounds: number;
  /** Rounds answered in a row before anything counts as back. */
  readonly recoverRounds: number;
  /** How likely a silence may be, at the present loss, and still be taken for a failure. */
  readonly chanceOfLoss: number;
  /** The same where connections fail as well. */
  readonly chanceOfLossHurried: number;
  /** Time that what went down stays down; doubles with every relapse. */
  readonly holdDownMs: number;
  /** Time that what was suspect stays suspect; doubles likewise. */
  readonly clearMs: number;
  readonly holdDownMaxMs: number;
  /** What stayed well for so long starts from the shortest hold-down again. */
  readonly quietMs: number;
  /** Shares held back while traffic returns, and how long each of them. */
  readonly heldBackPercents: readonly number[];
  readonly stepMs: number;
  /** Slow: so many times the usual round trip, and so much more at least; over at half of that. */
  readonly slowFactor: number;
  readonly slowMs: number;
  /** Failed connects within two rounds, none established: somebody refuses. */
  readonly refusedConnects: number;
  /** The same where they were to backends on so many nodes: no single pod or node explains them. */
  readonly refusedConnectsApart: number;
  readonly refusedNodes: number;
  /** So few are worth something too, with one silent round more. */
  readonly refusedConnectsFew: number;
  /** For so long after connects began to fail there are looks between the rounds. */
  readonly glanceMs: number;
  /** Connects that have not failed for so long begin to fail anew. */
  readonly glanceQuietMs: number;
  /** Failed connects of one backend within the window, none established. */
  readonly backendFailures: number;
  readonly backendWindowMs: number;
  /** A backend that is tried again and does not fail for so long is back. */
  readonly trialMs: number;
  /** A node that evidence named is probed for so long, and so many of them at once. */
  readonly accusedMs: number;
  readonly probeAlsoMax: number;
  /** Probes a round for a node that must be judged soon. */
  readonly probesPerRoundAsked: number;
  /** Backends that something is remembered of; what comes on top is not judged. */
  readonly backendsMax: number;
}

export const DEFAULT_LIMITS: JudgeLimits = {
  intervalMs: 100,
  suspectRounds: 2,
  downRounds: 4,
  downRoundsMax: 7,
  nodeDownRounds: 5,
  nodeDownRoundsMax: 30,
  isolationRounds: 3,
  witnessRounds: 2,
  recoverRounds: 5,
  chanceOfLoss: 1e-8,
  chanceOfLossHurried: 1e-4,
  holdDownMs: 2_000,
  clearMs: 1_000,
  holdDownMaxMs: 60_000,
  quietMs: 120_000,
  heldBackPercents: [90, 50],
  stepMs: 1_000,
  slowFactor: 3,
  slowMs: 50,
  refusedConnects: 5,
  refusedConnectsApart: 3,
  refusedNodes: 2,
  refusedConnectsFew: 2,
  glanceMs: 500,
  glanceQuietMs: 1_000,
  backendFailures: 3,
  backendWindowMs: 1_000,
  trialMs: 5_000,
  accusedMs: 5_000,
  probeAlsoMax: 64,
  probesPerRoundAsked: 3,
  backendsMax: 16_384,
};

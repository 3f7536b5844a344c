// When the writer of an etcd last proved that it lives, by our own clock. Only bookkeeping of
// moments; what follows from it is decided in session.ts.
//
// A proof is a heartbeat or canary that is written while we listen. What was written before we
// listened (a first list, or what is delivered late after an interruption) says nothing about
// now. Values are not looked at, so clocks need not agree (reference §1.9).

/** How often a writer writes its heartbeat (reference §1.1). */
export const HEARTBEAT_INTERVAL_MS = 60_000;

export class LifeSigns {
  readonly intervalMs: number;
  /** Counts proofs, so that a waiter can tell a new one. */
  proofs = 0;
  #lastProofMs: number | undefined;
  #deafUntilMs = -Infinity;

  constructor(intervalMs: number) {
    this.intervalMs = intervalMs;
  }

  get lastProofMs(): number | undefined {
    return this.#lastProofMs;
  }

  proof(nowMs: number): void {
    if (nowMs < this.#deafUntilMs) return;
    this.#lastProofMs = nowMs;
    this.proofs++;
  }

  /** Silence of two intervals is what Cilium's readers take for a dead writer, too. */
  fresh(nowMs: number): boolean {
    return this.#lastProofMs !== undefined && nowMs - this.#lastProofMs <= 2 * this.intervalMs;
  }

  /**
   * This process stood still. What comes in next was sent during the pause, so for a moment
   * nothing counts as live.
   */
  stalled(nowMs: number): void {
    this.#lastProofMs = undefined;
    this.#deafUntilMs = nowMs + this.intervalMs / 4;
  }

  /** Another etcd: what the former one proved is worth nothing. */
  forget(): void {
    this.#lastProofMs = undefined;
  }
}

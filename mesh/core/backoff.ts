// Exponential back-off with full jitter and a cap. Pure apart from the random source, which is
// a parameter so that simulations repeat.

export interface BackoffOptions {
  readonly baseMs: number;
  readonly capMs: number;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export interface Backoff {
  /** The next delay in milliseconds: between half and all of base · 2^attempt, at most the cap. */
  nextMs(): number;
  /** Called on success: the next delay is the first again. */
  reset(): void;
}

export const systemRandom = (): number => Math.random();

export function createBackoff(options: BackoffOptions): Backoff {
  if (!(options.baseMs > 0) || options.capMs < options.baseMs) {
    throw new RangeError(
      `Cannot create back-off: want 0 < baseMs <= capMs, got ${options.baseMs}, ${options.capMs}`,
    );
  }
  let attempt = 0;
  return {
    nextMs() {
      const full = Math.min(options.capMs, options.baseMs * 2 ** attempt);
      // 2^30 · base is beyond any cap; stop counting before the power loses meaning.
      attempt = Math.min(attempt + 1, 30);
      return full / 2 + (options.random() * full) / 2;
    },
    reset() {
      attempt = 0;
    },
  };
}

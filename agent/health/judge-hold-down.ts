// A hold-down that doubles with every relapse and is short again after a quiet while. It is what
// bounds the number of transitions, however fast something flaps.

export interface HoldDown {
  /** It failed (again): how long it is held now. */
  fail(atMs: number): number;
  /** It is well again; the quiet while begins. */
  recover(atMs: number): void;
  /** It has been well for so long that nothing need be remembered. */
  isForgotten(atMs: number): boolean;
}

export function createHoldDown(limits: {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly quietMs: number;
}): HoldDown {
  let nextMs = limits.firstMs;
  let wellSinceMs: number | undefined;
  const isQuiet = (atMs: number): boolean =>
    wellSinceMs !== undefined && atMs - wellSinceMs >= limits.quietMs;
  return {
    fail(atMs) {
      const heldMs = isQuiet(atMs) ? limits.firstMs : nextMs;
      nextMs = Math.min(heldMs * 2, limits.maxMs);
      wellSinceMs = undefined;
      return Math.min(heldMs, limits.maxMs);
    },
    recover(atMs) {
      wellSinceMs ??= atMs;
    },
    isForgotten: isQuiet,
  };
}

// Waiting in tests: polls a level ("revision is at least n") until it holds. Never wait for a
// time; wait for a condition with a generous limit.

/** Long enough for a slow, busy machine; a test that reaches it has failed. */
const DEFAULT_LIMIT_MS = 30_000;
const POLL_MS = 10;

/**
 * Calls `check` until it returns something other than false, null and undefined, and returns
 * that. Errors thrown by `check` count as "not yet"; at the limit the last one is the cause.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: {
    readonly limitMs?: number;
    readonly what?: string;
    readonly pollMs?: number;
    /** Ends the wait early; what it was aborted with is thrown. */
    readonly signal?: AbortSignal;
  } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const limitMs = options.limitMs ?? DEFAULT_LIMIT_MS;
  const deadline = performance.now() + limitMs;
  let lastError: unknown;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const value = await check();
      lastError = undefined;
      if (value !== false && value !== null && value !== undefined)
        return value as Exclude<T, false | null | undefined>;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > deadline) {
      const what = options.what ?? check.toString();
      throw new Error(`Still not so after ${limitMs} ms: ${what}`, { cause: lastError });
    }
    await new Promise((resolve) => setTimeout(resolve, options.pollMs ?? POLL_MS));
  }
}

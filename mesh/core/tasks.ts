// Running several endless tasks as one: the first that fails ends the others, and nothing is
// left floating.

export interface Task {
  readonly name: string;
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Resolves when the signal aborts and every task has ended; rejects with the first failure after
 * the others have been ended. A task that returns early without being asked to is a failure.
 */
export async function runTasks(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
  const inner = new AbortController();
  const onAbort = (): void => inner.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    inner.abort(error);
  };
  try {
    await Promise.all(
      tasks.map(async (task) => {
        try {
          await task.run(inner.signal);
          if (!inner.signal.aborted) fail(new Error(`Task "${task.name}" ended by itself`));
        } catch (error) {
          // Work that was cut off by the shutdown rejects; that is how it ends.
          if (!inner.signal.aborted)
            fail(new Error(`Task "${task.name}" failed`, { cause: error }));
        }
      }),
    );
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  if (failure !== undefined) throw failure;
}

// What ends a wait for NATS before its answer: the connection's end, which the library would wait
// beyond, and the caller's signal.
import type { NatsConnection } from "nats";
import { abortedError } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";

/** What the work gives, or `unavailable` as soon as the connection ends. */
export async function whileOpen<T>(
  client: Pick<NatsConnection, "closed">,
  work: Promise<T>,
): Promise<T> {
  const closed = client.closed().then(() => {
    throw new MeshError("unavailable", "the connection has ended");
  });
  closed.catch(() => {}); // It ends at some time, mostly long after the work.
  work.catch(() => {}); // Nobody waits for it when the connection has ended.
  return Promise.race([work, closed]);
}

/** What the work gives, or `aborted` as soon as the signal is; what comes later is nobody's. */
export async function endedWith<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => {}); // Nobody waits for it any more.
    throw abortedError(signal);
  }
  const cut = Promise.withResolvers<never>();
  const onAbort = (): void => cut.reject(abortedError(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, cut.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    work.catch(() => {}); // Nobody waits for it any more.
  }
}

// Collects connections that have ended or been silent for long, so that the map holds those that
// matter when it becomes full. Nothing depends on it: a connection that is forgotten too early is
// judged like a new one by its next packet, and without an agent the kernel makes room by itself.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { ConnectionState, type Connection, type ConnectionKey } from "../../bpf/gen/layout.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";

export interface ConnectionCollectorOptions {
  readonly map: Pick<DatapathMaps["connections"], "entries" | "deleteBatch">;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ConnectionCollector {
  /** How many there were when it last looked, and how many it has removed since the start. */
  status(): { readonly seen: number; readonly removed: number };
  /** Looks once at all of them. */
  collect(signal: AbortSignal): Promise<void>;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const SECOND_NS = 1_000_000_000n;
const TCP = 6;
/** Silence after which a connection is taken for over. */
const SILENCE_NS = {
  /** A late segment of a connection that was reset or ended by both sides still finds it. */
  closed: 10n * SECOND_NS,
  /** One side has ended; RFC 9293 leaves the other as much time as it likes, people do not. */
  closing: 300n * SECOND_NS,
  /** Linux gives a connect up after 130 s, with a minute between its last tries. */
  opening: 60n * SECOND_NS,
  /** Keep-alive probes of Linux come every two hours. */
  open: 8_000n * SECOND_NS,
  /** RFC 4787 asks for two minutes at least; DNS and its like need seconds. */
  other: 120n * SECOND_NS,
} as const;
/** A table of 131,072 rows takes some 100 ms to walk. */
const INTERVAL_MS = 30_000;
/** Rows looked at before other work gets a turn. */
const ROWS_PER_TURN = 2_048;

export function createConnectionCollector(
  options: ConnectionCollectorOptions,
): ConnectionCollector {
  const { map, clock, log } = options;
  let seen = 0;
  let removed = 0;

  async function collect(signal: AbortSignal): Promise<void> {
    const nowNs = options.kernelNowNs();
    const over: ConnectionKey[] = [];
    let count = 0;
    for (const [key, connection] of map.entries(ROWS_PER_TURN)) {
      if (isOver(key, connection, nowNs)) over.push(key);
      if (++count % ROWS_PER_TURN === 0) await clock.sleep(0, signal);
    }
    map.deleteBatch(over);
    seen = count;
    removed += over.length;
  }

  return {
    status: () => ({ seen, removed }),
    collect,
    async run(signal) {
      while (!signal.aborted) {
        try {
          await clock.sleep(INTERVAL_MS, signal);
          await collect(signal);
        } catch (error) {
          if (!isMeshError(error, "aborted")) {
            log.warn("Connections could not be collected", { error });
          }
        }
      }
    },
  };
}

function isOver(
  { protocol }: ConnectionKey,
  { state, lastSeenNs }: Connection,
  nowNs: bigint,
): boolean {
  return nowNs - lastSeenNs > silenceNs(protocol, state);
}

function silenceNs(protocol: number, state: ConnectionState): bigint {
  if (protocol !== TCP) return SILENCE_NS.other;
  switch (state) {
    case ConnectionState.opening:
      return SILENCE_NS.opening;
    case ConnectionState.open:
      return SILENCE_NS.open;
    case ConnectionState.closing:
      return SILENCE_NS.closing;
    case ConnectionState.closed:
      return SILENCE_NS.closed;
  }
}

// Which failover of our clients was drilled, for whoever asks for our status: services as one of
// our agents sees them, drills out of our stream, which has what peers told, too. Asked for now and
// then, so nothing is kept ready but what the stream has told so far.
//
//   agent ── services ──► failovers ─┐
//   stream DRILLS ──► last drilled ──┴─► answer, in time or not at all
import { withTimeout, type Clock } from "../../mesh/core/clock.ts";
import { isMeshError, MeshError, messageFromError } from "../../mesh/core/errors.ts";
import { DrilledFailovers, failoverEdges, type FailoverEdge } from "../../mesh/drill/coverage.ts";
import { readServices } from "../../mesh/drill/facts.ts";
import type { DrillReport } from "../../mesh/drill/report.ts";
import { parseReport } from "../../mesh/drill/store.ts";
import { askQuestion } from "../../mesh/operations/ask.ts";
import type { OperationsConnection, StoredMessage } from "../../mesh/operations/connection.ts";
import type { ServiceFacts } from "../../mesh/operations/questions.ts";
import { DRILLS_STREAM } from "../../mesh/operations/streams.ts";
import { drillFilter } from "../../mesh/operations/subjects.ts";

/** See CheckDrillsResponse in apiserver.proto. */
export interface DrillCoverage {
  readonly problem: string;
  readonly failovers: readonly (FailoverEdge & { readonly lastDrilledMs: number })[];
}

export interface DrillCoverageOptions {
  readonly cluster: string;
  /** Of our own cluster. */
  readonly nodes: () => readonly string[];
  /** Undefined without an operations plane. */
  readonly connection: Pick<OperationsConnection, "ask" | "read" | "status"> | undefined;
  readonly clock: Clock;
}

/** Whoever looks at a status does not wait longer for this part of it. */
const LIMIT_MS = 2_500;
/** An agent that lives answers within milliseconds. */
const ASK_TIMEOUT_MS = 1_000;
/** So many agents are greeted at once; who answers first is asked. */
const GREETED = 5;

/** The answer names what is in the way; it rejects with `aborted` alone. */
export function createDrillCoverage(
  options: DrillCoverageOptions,
): (signal: AbortSignal) => Promise<DrillCoverage> {
  const { connection, clock } = options;
  if (connection === undefined) return () => Promise.resolve(unknown("no operations plane"));
  const history = new DrillHistory(connection);
  const gather = async (signal: AbortSignal): Promise<DrillCoverage> => {
    const [services] = await Promise.all([
      clientServices({ ...options, connection }, signal),
      history.catchUp(),
    ]);
    const edges = failoverEdges([{ name: options.cluster, services }]);
    const failovers = edges.map((edge) => ({
      ...edge,
      lastDrilledMs: history.drilled.lastMs(edge),
    }));
    return { problem: "", failovers };
  };
  return async (signal) => {
    if (connection.status().state !== "connected") {
      return unknown("the operations plane does not answer");
    }
    const what = "the operations plane is too slow";
    try {
      return await withTimeout(gather, { ms: LIMIT_MS, what, clock, signal });
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      return unknown(messageFromError(error));
    }
  };
}

function unknown(problem: string): DrillCoverage {
  return { problem, failovers: [] };
}

async function clientServices(
  asked: Pick<DrillCoverageOptions, "cluster" | "nodes"> & {
    readonly connection: Pick<OperationsConnection, "ask">;
  },
  signal: AbortSignal,
): Promise<readonly ServiceFacts[]> {
  const { cluster, connection } = asked;
  const nodes = asked.nodes();
  if (nodes.length === 0) return []; // Nobody could be a client.
  const timeoutMs = ASK_TIMEOUT_MS;
  let isSilent = false;
  for (let from = 0; from < nodes.length && !signal.aborted; from += GREETED) {
    const greeted = nodes.slice(from, from + GREETED).map(async (node) => {
      const request = { to: { cluster, node }, question: { ask: "hello" }, timeoutMs } as const;
      await askQuestion(connection, request, signal).catch((error: unknown) => {
        // Of an agent that is away NATS says so at once.
        isSilent ||= isMeshError(error, "deadline_exceeded");
        throw error;
      });
      return node;
    });
    const node = await Promise.any(greeted).catch(() => undefined); // None of them: the next.
    if (node === undefined) continue;
    return readServices(
      { ask: (to, question, inner) => askQuestion(connection, { to, question, timeoutMs }, inner) },
      { cluster, node },
      signal,
    );
  }
  const reason = isSilent ? "neither NATS nor an agent answers in time" : "no agent answers";
  throw new MeshError("unavailable", `Cannot see the services: ${reason}`);
}

/** What the stream has told so far, read on from there whenever somebody asks. */
class DrillHistory {
  readonly drilled = new DrilledFailovers();
  readonly #connection: Pick<OperationsConnection, "read">;
  #heardMs: number | undefined;
  #reading: Promise<void> | undefined;

  constructor(connection: Pick<OperationsConnection, "read">) {
    this.#connection = connection;
  }

  /** Goes on for the next asker when this one's time is over; the connection has a limit for it. */
  catchUp(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const since = this.#heardMs === undefined ? {} : { sinceMs: this.#heardMs };
    const selection = { filter: drillFilter(), ...since };
    const unending = new AbortController().signal;
    for (const message of await this.#connection.read(DRILLS_STREAM.name, selection, unending)) {
      const report = reportFrom(message);
      if (report !== undefined) this.drilled.add(report, message.timeMs);
      this.#heardMs = message.timeMs;
    }
  }
}

/** Undefined for what cannot be used: a peer may have written it. */
function reportFrom({ data, subject }: StoredMessage): DrillReport | undefined {
  try {
    const report = parseReport(data.toString("utf8"), subject);
    const { fault, runs }: { fault?: Partial<DrillReport["fault"]>; runs: readonly unknown[] } =
      report;
    return typeof fault?.cluster === "string" && runs.every(isRun) ? report : undefined;
  } catch (error) {
    if (isMeshError(error, "invalid_argument")) return undefined;
    throw error;
  }
}

function isRun(run: unknown): boolean {
  const { startedAtMs, services } = (run ?? {}) as { startedAtMs?: unknown; services?: unknown };
  if (!Number.isFinite(startedAtMs) || !Array.isArray(services)) return false;
  return services.every(
    (item: unknown) => typeof (item as { service?: unknown } | null)?.service === "string",
  );
}

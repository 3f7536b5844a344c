// Which failover of our clients was drilled, for whoever asks for our status: services as one of
// our agents sees them, drills out of our stream, which has what peers told, too. Asked for now and
// then, so nothing is looked at before; what takes longer than the asker waits is there for the
// next.
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
/** Some thousand services are work for an agent: those who ask often share a look. */
const SERVICES_KEPT_MS = 10_000;
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
  const readEdges = async (): Promise<readonly FailoverEdge[]> => {
    const services = await clientServices({ ...options, connection });
    return failoverEdges([{ name: options.cluster, services }]);
  };
  const edges = new SharedLook(readEdges, { keptMs: SERVICES_KEPT_MS, clock });
  const drilled = new SharedLook(() => history.catchUp(), { keptMs: 0, clock });
  const gather = async (): Promise<DrillCoverage> => {
    const [found, last] = await Promise.all([edges.take(), drilled.take()]);
    const failovers = found.map((edge) => ({ ...edge, lastDrilledMs: last.lastMs(edge) }));
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
): Promise<readonly ServiceFacts[]> {
  // Each question has an end of its own.
  const signal = new AbortController().signal;
  const { cluster, connection } = asked;
  const nodes = asked.nodes();
  if (nodes.length === 0) return []; // Nobody could be a client.
  const timeoutMs = ASK_TIMEOUT_MS;
  let isSilent = false;
  for (let from = 0; from < nodes.length; from += GREETED) {
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

/** Whoever asks while a look is under way, or shortly after it, has what it finds. */
class SharedLook<T> {
  readonly #look: () => Promise<T>;
  readonly #options: { readonly keptMs: number; readonly clock: Pick<Clock, "monotonicMs"> };
  #found: { readonly value: T; readonly untilMs: number } | undefined;
  #looking: Promise<T> | undefined;

  constructor(
    look: () => Promise<T>,
    options: { readonly keptMs: number; readonly clock: Pick<Clock, "monotonicMs"> },
  ) {
    this.#look = look;
    this.#options = options;
  }

  async take(): Promise<T> {
    const { keptMs, clock } = this.#options;
    if (this.#found !== undefined && clock.monotonicMs() < this.#found.untilMs) {
      return this.#found.value;
    }
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    const value = await this.#looking;
    this.#found = { value, untilMs: clock.monotonicMs() + keptMs };
    return value;
  }
}

/** What the stream has told so far, read on from there. */
class DrillHistory {
  readonly #drilled = new DrilledFailovers();
  readonly #connection: Pick<OperationsConnection, "read">;
  #heardMs: number | undefined;

  constructor(connection: Pick<OperationsConnection, "read">) {
    this.#connection = connection;
  }

  /** The connection has a limit for it. */
  async catchUp(): Promise<Pick<DrilledFailovers, "lastMs">> {
    const since = this.#heardMs === undefined ? {} : { sinceMs: this.#heardMs };
    const selection = { filter: drillFilter(), ...since };
    const unending = new AbortController().signal;
    for (const message of await this.#connection.read(DRILLS_STREAM.name, selection, unending)) {
      const report = reportFrom(message);
      if (report !== undefined) this.#drilled.add(report, message.timeMs);
      this.#heardMs = message.timeMs;
    }
    return this.#drilled;
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

// `mesh events`: what happened in the mesh, out of the stream of one cluster, which holds what its
// peers have told, too.
import { parseClusterName } from "../core/cluster.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { parseDuration } from "../drill/fields.ts";
import type {
  OperationsConnection,
  StoredMessage,
  StreamSelection,
} from "../operations/connection.ts";
import { EVENT_KINDS, EVENT_SEVERITIES, type MeshEvent } from "../operations/event.ts";
import { parseEvent } from "../operations/parse-event.ts";
import { EVENTS_STREAM } from "../operations/streams.ts";
import { eventFilter } from "../operations/subjects.ts";
import { parseOutputFormat, styled, type Output, type OutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { openOperations, type PodCommand } from "./open-operations.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP } from "./select-context.ts";

const USAGE = `Usage: mesh events [--follow] [--context NAME] [--cluster NAME] [--kind KIND]
                   [--severity LEVEL] [--since 1h] [--limit N] [--output table|json]

Shows what happened in the mesh, oldest first: clusters, nodes and backends that failed and came
back, drains, drills, sessions between clusters. Every cluster keeps for a week what it and its
peers have told; the one of --context is asked. Without NATS there are no events here; they stand in
the logs of agents and apiservers all the same.

  --follow       go on with what happens, until interrupted
  --context      which cluster is asked; the only context of this machine by default
  --cluster      only what this cluster told
  --kind         ${EVENT_KINDS.slice(0, 4).join(", ")},
                 ${EVENT_KINDS.slice(4).join(", ")}
  --severity     this and worse: info (default), warning, error
  --since        only the last 90s, 15m, 1h, 7d
  --limit        at most so many, the newest (100)
  --after        only those behind this number of the stream, as --output json shows it
  --output       table (default) or json: one object a line
${CONTEXT_HELP}
Examples:
  mesh events --context east
  mesh events --context east --follow --severity warning
  mesh events --context east --since 1h --kind cluster-health --output json
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  follow: { type: "boolean" },
  context: { type: "string" },
  cluster: { type: "string" },
  kind: { type: "string" },
  severity: { type: "string" },
  since: { type: "string" },
  limit: { type: "string" },
  after: { type: "string" },
  output: { type: "string" },
} as const;

const DEFAULT_LIMIT = 100;
/** A whole stream is read for it and nothing more is kept than this. */
const LIMIT_MAX = 100_000;
const CONNECT_LIMIT_MS = 10_000;
/** How often the pod of a Kubernetes cluster is asked what is new. */
const POD_LOOK_MS = 2_000;

export interface EventsRequest {
  readonly follow: boolean;
  readonly filter: string;
  readonly severities: ReadonlySet<string>;
  readonly sinceMs: number | undefined;
  readonly after: number;
  readonly limit: number;
  readonly format: OutputFormat;
}

/** An event and where it stands in the stream. */
export interface ShownEvent extends MeshEvent {
  readonly sequence: number;
}

export const eventsCommand: Command = {
  name: "events",
  summary: "what happened in the mesh, and what happens",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": want flags only`, USAGE);
    }
    const request = parseEventsRequest(values, context.clock.nowMs());
    const wish = {
      ...values,
      inPod: (pod: PodCommand) => showFromPod(pod, { request, values, context }),
    };
    return openOperations(wish, context, async ({ connection }, signal) => {
      await awaitConnection(connection, { context, signal });
      await showEvents(connection, request, { output: context.stdout, signal });
      return 0;
    });
  },
};

type Values = Readonly<
  Partial<Record<Exclude<keyof typeof FLAGS, "follow">, string>> & { follow?: boolean }
>;

/** Throws `invalid_argument` for a flag that cannot be used. */
export function parseEventsRequest(values: Values, nowMs: number): EventsRequest {
  const { kind, cluster, severity = "info", since, limit, after } = values;
  const refuse = (flag: string, want: string): MeshError =>
    new MeshError("invalid_argument", `Cannot use --${flag}: want ${want}`);
  const known = EVENT_KINDS.find((item) => item === kind);
  if (kind !== undefined && known === undefined) throw refuse("kind", EVENT_KINDS.join(", "));
  const level = EVENT_SEVERITIES.findIndex((item) => item === severity);
  if (level < 0) throw refuse("severity", EVENT_SEVERITIES.join(", "));
  const number = (flag: "limit" | "after", missing: number): number => {
    const value = Number(values[flag] ?? missing);
    if (Number.isInteger(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
    throw refuse(flag, "a whole number");
  };
  const wanted = number("limit", after === undefined ? DEFAULT_LIMIT : LIMIT_MAX);
  if (limit !== undefined && (wanted < 1 || wanted > LIMIT_MAX)) {
    throw refuse("limit", `a whole number from 1 to ${LIMIT_MAX}`);
  }
  const sinceMs = since === undefined ? undefined : nowMs - durationOf(since, refuse);
  return {
    follow: values.follow === true,
    filter: eventFilter({
      ...(cluster === undefined ? {} : { cluster: parseClusterName(cluster) }),
      ...(known === undefined ? {} : { kind: known }),
    }),
    severities: new Set(EVENT_SEVERITIES.slice(level)),
    sinceMs,
    after: number("after", 0),
    limit: wanted,
    format: parseOutputFormat(values.output),
  };
}

function durationOf(text: string, refuse: (flag: string, want: string) => MeshError): number {
  const [, days] = /^(\d{1,4})d$/.exec(text) ?? [];
  const ms = days === undefined ? parseDuration(text) : Number(days) * 86_400_000;
  if (ms === undefined) throw refuse("since", "a time such as 90s, 15m, 1h, 7d");
  return ms;
}

/** Writes what the stream holds, and with `follow` what comes, until the signal aborts. */
export async function showEvents(
  connection: Pick<OperationsConnection, "read" | "follow">,
  request: EventsRequest,
  { output, signal }: { readonly output: Output; readonly signal: AbortSignal },
): Promise<void> {
  const { filter, sinceMs, after } = request;
  const selection: StreamSelection = { filter, ...(sinceMs === undefined ? {} : { sinceMs }) };
  const stored = await connection.read(EVENTS_STREAM.name, selection, signal);
  const past = stored
    .filter(({ sequence }) => sequence > after)
    .flatMap(eventFrom)
    .filter(({ severity }) => request.severities.has(severity));
  for (const event of past.slice(-request.limit)) output.write(formatEvent(event, request, output));
  if (!request.follow) return;
  const known = stored.at(-1)?.sequence ?? 0;
  try {
    for await (const message of connection.follow(EVENTS_STREAM.name, selection, signal)) {
      if (message.sequence <= known) continue;
      for (const event of eventFrom(message)) {
        if (request.severities.has(event.severity)) {
          output.write(formatEvent(event, request, output));
        }
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** What cannot be used is passed over: a peer may have written it. */
function eventFrom(message: StoredMessage): ShownEvent[] {
  try {
    return [{ sequence: message.sequence, ...parseEvent(message) }];
  } catch (error) {
    if (isMeshError(error, "invalid_argument")) return [];
    throw error;
  }
}

/** One line. Times are those of who tells, in this machine's words for them. */
export function formatEvent(
  event: ShownEvent,
  { format }: Pick<EventsRequest, "format">,
  output: Output,
): string {
  if (format === "json") return `${JSON.stringify(event)}\n`;
  const { timeMs, severity, cluster, node, kind, subject, from, to, text } = event;
  const time = new Date(timeMs).toISOString().slice(0, 19).replace("T", " ");
  const style = severity === "error" ? "red" : severity === "warning" ? "yellow" : "dim";
  const level = styled(output, style, severity.padEnd(7));
  const who = `${cluster}/${node}`.padEnd(20);
  const change = from === "" && to === "" ? "" : ` (${from === "" ? "?" : from} → ${to})`;
  return `${time}  ${level}  ${who}  ${kind.padEnd(14)}  ${subject}: ${text}${change}\n`;
}

/** A connection takes milliseconds; one that does not come says why. */
async function awaitConnection(
  connection: OperationsConnection,
  { context, signal }: { readonly context: CommandContext; readonly signal: AbortSignal },
): Promise<void> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_LIMIT_MS)]);
  try {
    await connection.ready(late);
  } catch (error) {
    if (context.signal.aborted) throw error;
    const { lastError } = connection.status();
    throw new MeshError(
      "unavailable",
      lastError === "" ? "Cannot connect to NATS: it does not answer" : lastError,
      { hint: "`mesh status` tells how the operations plane is; nothing else needs it" },
    );
  }
}

/** The pod's `mesh` answers for what is there; following it is asking again and again. */
async function showFromPod(
  pod: PodCommand,
  work: {
    readonly request: EventsRequest;
    readonly values: Values;
    readonly context: CommandContext;
  },
): Promise<number> {
  const { request, values, context } = work;
  const words = Object.entries(values).flatMap(([flag, value]) =>
    ["context", "kubeconfig", "namespace", "follow", "output", "after"].includes(flag)
      ? []
      : [`--${flag}`, String(value)],
  );
  let { after } = request;
  for (;;) {
    const place = after === 0 ? [] : ["--after", String(after)];
    const result = await pod(["events", ...words, ...place, "--output", "json"]);
    if (result.status !== 0) {
      context.stderr.write(result.stderr);
      return result.status;
    }
    for (const line of result.stdout.split("\n").filter((text) => text !== "")) {
      const event = JSON.parse(line) as ShownEvent;
      after = Math.max(after, event.sequence);
      context.stdout.write(formatEvent(event, request, context.stdout));
    }
    if (!request.follow) return 0;
    await context.clock.sleep(POD_LOOK_MS, context.signal);
  }
}

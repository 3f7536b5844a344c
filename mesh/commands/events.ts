// `mesh events`: what happened in the mesh, out of the streams of the clusters that the operator has
// contexts of. Each holds what its peers have told, too; what was told while a link was down only
// one has.
import { listContexts } from "../contexts/contexts.ts";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";
import { parseDuration } from "../drill/fields.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import { EVENT_KINDS, EVENT_SEVERITIES } from "../operations/event.ts";
import { eventFilter } from "../operations/subjects.ts";
import { parseOutputFormat, type OutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { connectionEvents, podEvents, type EventSelection } from "./event-sources.ts";
import { openOperations } from "./open-operations.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP, findContext } from "./select-context.ts";
import { describeLost, showEvents, type NamedSource } from "./show-events.ts";

const USAGE = `Usage: mesh events [--follow] [--context NAME]... [--cluster NAME] [--kind KIND]
                   [--severity LEVEL] [--since 1h] [--limit N] [--output table|json]

Shows what happened in the mesh, oldest first: clusters, nodes and backends that failed and came
back, drains, drills, sessions between clusters. Every cluster keeps for a week what it and its
peers have told. All contexts of this machine are asked, and each event is shown once, in order of
time; a cluster that does not answer is named and the others are shown. Without NATS there are no
events here; they stand in the logs of agents and apiservers all the same.

  --follow       go on with what happens, until interrupted
  --context      which cluster is asked, again for more; all contexts of this machine by default
  --cluster      only what this cluster told
  --kind         ${EVENT_KINDS.slice(0, 4).join(", ")},
                 ${EVENT_KINDS.slice(4).join(", ")}
  --severity     this and worse: info (default), warning, error
  --since        only the last 90s, 15m, 1h, 7d
  --limit        at most so many, the newest (100)
  --after        only those behind this number of the stream, as --output json shows it where one
                 context is asked
  --output       table (default) or json: one object a line
${CONTEXT_HELP}
Examples:
  mesh events
  mesh events --follow --severity warning
  mesh events --context east --since 1h --kind cluster-health --output json
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  follow: { type: "boolean" },
  context: { type: "string", multiple: true },
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
/** Where others answer, one that is away is not waited for as long. */
const CONNECT_BESIDE_OTHERS_MS = 3_000;

export interface EventsRequest extends EventSelection {
  readonly follow: boolean;
  readonly limit: number;
  readonly format: OutputFormat;
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
    const names = await contextNames(values, context);
    const merged = names.length > 1;
    if (merged && values.after !== undefined) {
      throw new MeshError("invalid_argument", "Cannot use --after: it counts in one stream", {
        hint: "name that cluster's context with --context",
      });
    }
    const namespace = await commonNetwork(names, { values, context });
    const entered = await enterNamespace(namespace, context);
    if (entered !== undefined) return entered;
    await withSources(names, { request, values, context }, (sources, onLost) =>
      showEvents(
        sources,
        { ...request, merged },
        { output: context.stdout, onLost, signal: context.signal },
      ),
    );
    return 0;
  },
};

type Values = Readonly<
  Partial<Record<Exclude<keyof typeof FLAGS, "follow" | "context">, string>> & {
    follow?: boolean;
    context?: string[];
  }
>;

interface Work {
  readonly request: EventsRequest;
  readonly values: Values;
  readonly context: CommandContext;
}

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

/** Those that are named, or all of this machine's own. */
async function contextNames(values: Values, { home }: CommandContext): Promise<readonly string[]> {
  const names = [...new Set(values.context ?? (await listContexts(home)))];
  if (names.length > 0) return names;
  throw new MeshError("not_found", "Cannot show any event: there is no context yet", {
    hint: "--context names one of the kubeconfig; `mesh lab up` makes a lab with two clusters",
  });
}

/** The network namespace that all of them are asked from, as far as they can be found. */
async function commonNetwork(
  names: readonly string[],
  { values: { kubeconfig, namespace }, context }: Pick<Work, "values" | "context">,
): Promise<string | undefined> {
  const finding = await Promise.allSettled(
    names.map((name) => findContext({ name, kubeconfig, namespace }, context)),
  );
  const networks = finding.flatMap((one) =>
    one.status === "fulfilled" ? [one.value.networkNamespace] : [],
  );
  if (new Set(networks).size <= 1) return networks[0];
  throw new MeshError(
    "invalid_argument",
    `Cannot ask ${names.join(", ")} together: they name different network namespaces`,
    { hint: "name those of one lab or network, each with --context" },
  );
}

/** Those that cannot be opened are told by `onLost`; throws if none can. */
async function withSources(
  names: readonly string[],
  work: Work,
  show: (
    sources: readonly NamedSource[],
    onLost: (name: string, error: unknown) => void,
  ) => Promise<void>,
): Promise<void> {
  const { stderr, signal } = work.context;
  const onLost = (name: string, error: unknown): void => {
    stderr.write(describeLost(name, error));
  };
  const limitMs = names.length > 1 ? CONNECT_BESIDE_OTHERS_MS : CONNECT_LIMIT_MS;
  const opening = await Promise.allSettled(names.map((name) => openSource(name, work, limitMs)));
  const opened = opening.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  try {
    for (const [index, one] of opening.entries()) {
      if (one.status === "fulfilled") continue;
      if (signal.aborted || opened.length === 0) throw one.reason;
      onLost(names[index] ?? "", one.reason);
    }
    await show(opened, onLost);
  } finally {
    await Promise.all(opened.map((one) => one.close()));
  }
}

/** The connection stays open until it is closed. */
async function openSource(
  name: string,
  { request, values, context }: Work,
  limitMs: number,
): Promise<NamedSource & { close(): Promise<void> }> {
  const opened = Promise.withResolvers<NamedSource["source"]>();
  const over = Promise.withResolvers<number>();
  const { kubeconfig, namespace } = values;
  const { clock } = context;
  const running = openOperations(
    {
      context: name,
      kubeconfig,
      namespace,
      inPod: (pod) => {
        opened.resolve(podEvents(pod, { words: podWords(values), after: request.after, clock }));
        return over.promise;
      },
    },
    context,
    async ({ connection }, signal) => {
      await awaitConnection(connection, { context, limitMs, signal });
      opened.resolve(connectionEvents(connection, request));
      return over.promise;
    },
  );
  running.then(
    () => opened.reject(new Error("Unreachable: nothing was opened, or it is closed")),
    opened.reject,
  );
  const close = async (): Promise<void> => {
    over.resolve(0);
    await running;
  };
  return { name, source: await opened.promise, close };
}

/** What selects events, for the `mesh` in a pod, which has one context. */
function podWords(values: Values): string[] {
  const { cluster, kind, severity, since, limit } = values;
  return Object.entries({ cluster, kind, severity, since, limit }).flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}`, value],
  );
}

/** A connection takes milliseconds; one that does not come says why. */
async function awaitConnection(
  connection: OperationsConnection,
  {
    context,
    limitMs,
    signal,
  }: {
    readonly context: CommandContext;
    readonly limitMs: number;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
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

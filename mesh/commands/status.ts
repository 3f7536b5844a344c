// `mesh status`: every cluster that this machine may operate, its apiserver, and its peers as it
// sees them.
import type {
  ApiserverStatusMessage,
  DrainMessage,
  DrillCheckMessage,
} from "../api/apiserver-client.ts";
import type { PeerStatus } from "../connect/cluster-facts.ts";
import { openContext } from "../connect/context-access.ts";
import type { ReportedStatusReader } from "../connect/kubernetes-apiserver.ts";
import { isKubernetesContext, listContexts, type MeshContext } from "../contexts/contexts.ts";
import { listKubeconfigContexts } from "../kubernetes/kubeconfig-contexts.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import { DrilledFailovers, STALE_DAYS } from "../drill/coverage.ts";
import {
  formatJson,
  formatTable,
  parseOutputFormat,
  styled,
  type Column,
  type Output,
} from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { openReports } from "./drill-history.ts";
import { commonNamespace, enterNamespace } from "./enter-namespace.ts";
import { formatLeft } from "./drain-list.ts";
import {
  CONTEXT_FLAGS,
  CONTEXT_HELP,
  contextFromKubeconfig,
  findContext,
} from "./select-context.ts";
import {
  drillStatus,
  formatDrillStatuses,
  wantsDrills,
  type DrillStatus,
} from "./status-drills.ts";

const USAGE = `Usage: mesh status [--context NAME|all] [--output table|json]

Shows for every context its cluster, whether its apiserver runs, and its peers: their state, the
age of their last heartbeat, how many records of each kind are mirrored, how many were rejected.
Then the operations plane: nats-server, how much its streams hold, the links to peers' servers.
Below it names the drains that are in force, and failover that is configured and was never drilled,
or not for 30 days; --output json has all of it, and \`mesh drill suggest\` the words that drill it.
The exit status is 0 if every apiserver is ready and every peer in sync, otherwise 1.

Of a Kubernetes cluster it asks the apiserver in its pod, as kubectl exec does. A context that is
named may be one of the kubeconfig; without any name, and without contexts of this machine's own,
it is the kubeconfig's current one.

  --context      one context; all of this machine's by default
${CONTEXT_HELP}  --output       table (default) or json

Examples:
  mesh status
  mesh status --context east --output json
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  context: { type: "string" },
  output: { type: "string" },
} as const;

/** What is shown of an apiserver's answer. */
export type ApiserverStatus = Pick<
  ApiserverStatusMessage,
  "version" | "ready" | "reasons" | "uptimeSeconds"
> & {
  readonly peers: readonly PeerStatus[];
  /** Undefined from an older apiserver. */
  readonly drains?: ApiserverStatusMessage["drains"];
  /** Undefined from an apiserver that knows none. */
  readonly operations?: ApiserverStatusMessage["operations"];
};

/** Everything that is known about one context. */
export interface ContextStatus {
  readonly context: string;
  readonly cluster: string | undefined;
  readonly id: number | undefined;
  /** undefined if no apiserver answered. */
  readonly apiserver: ApiserverStatus | undefined;
  readonly problem: string | undefined;
  /** Undefined if no apiserver answered. */
  readonly drills?: DrillStatus | undefined;
}

export const statusCommand: Command = {
  name: "status",
  summary: "clusters, their apiservers, and how they see their peers",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": name contexts with --context`, USAGE);
    }
    const places = await selectContexts(values, context);
    const entered = await enterNamespace(namespaceOf(places), context);
    if (entered !== undefined) return entered;
    const told = await Promise.all(places.map((place) => readContextStatus(place, context)));
    const statuses = await withDrills(told, context);
    context.stdout.write(
      format === "json" ? formatJson(statuses) : formatStatuses(statuses, context.stdout),
    );
    return statuses.every(isHealthy) ? 0 : 1;
  },
};

export function isHealthy({ apiserver, problem }: ContextStatus): boolean {
  if (problem !== undefined || apiserver === undefined || !apiserver.ready) return false;
  return apiserver.peers.every(({ state, synced }) => state === "ready" && synced);
}

/** A row for every peer, or one for a cluster without any; reasons below. */
export function formatStatuses(statuses: readonly ContextStatus[], output: Output): string {
  const rows = statuses.flatMap((status): Row[] => {
    const peers = status.apiserver?.peers ?? [];
    return peers.length === 0
      ? [{ status, peer: undefined }]
      : peers.map((peer) => ({ status, peer }));
  });
  const drills = formatDrillStatuses(
    statuses.map(({ context, cluster, drills: own }) => ({
      name: cluster ?? context,
      drills: own,
    })),
  );
  const remarks = [...statuses.flatMap(remarksOf), ...drills.remarks];
  const lines = remarks.map((remark) => `${styled(output, "yellow", "!")} ${remark}\n`);
  return (
    formatTable(COLUMNS, rows) +
    formatOperations(statuses) +
    (drills.wellDone === "" ? "" : `\n${drills.wellDone}\n`) +
    (lines.length === 0 ? "" : `\n${lines.join("")}`)
  );
}

/** A row for every cluster that has an operations plane; nothing if none has. */
function formatOperations(statuses: readonly ContextStatus[]): string {
  const rows = statuses.flatMap(({ context, cluster, apiserver }) =>
    apiserver?.operations ? [{ name: cluster ?? context, operations: apiserver.operations }] : [],
  );
  return rows.length === 0 ? "" : `\n${formatTable(OPERATIONS_COLUMNS, rows)}`;
}

interface OperationsRow {
  readonly name: string;
  readonly operations: NonNullable<ApiserverStatus["operations"]>;
}

const OPERATIONS_COLUMNS: readonly Column<OperationsRow>[] = [
  { header: "CLUSTER", text: ({ name }) => name },
  { header: "NATS", text: ({ operations }) => natsState(operations) },
  streamColumn("EVENTS"),
  streamColumn("DRILLS"),
  {
    header: "LINKS",
    text: ({ operations }) =>
      operations.links.map(({ peer, up }) => (up ? peer : `${peer} (down)`)).join(", ") || "-",
  },
  { header: "WAITING", align: "right", text: ({ operations }) => String(operations.waiting) },
  { header: "DROPPED", align: "right", text: ({ operations }) => String(operations.dropped) },
];

function natsState({ server, connected }: OperationsRow["operations"]): string {
  const runs = ["running", "adopted", "beside"].includes(server);
  return runs && !connected ? `${server}, no answer` : server;
}

function streamColumn(name: string): Column<OperationsRow> {
  const text = ({ operations }: OperationsRow): string =>
    String(operations.streams.find((stream) => stream.name === name)?.messages ?? "-");
  return { header: name, align: "right", text };
}

interface Row {
  readonly status: ContextStatus;
  readonly peer: PeerStatus | undefined;
}

const COLUMNS: readonly Column<Row>[] = [
  { header: "CLUSTER", text: ({ status }) => status.cluster ?? status.context },
  { header: "ID", align: "right", text: ({ status }) => String(status.id ?? "-") },
  { header: "APISERVER", text: ({ status }) => apiserverState(status) },
  { header: "PEER", text: ({ peer }) => peer?.name ?? "-" },
  { header: "STATE", text: ({ peer }) => (peer === undefined ? "-" : peerState(peer)) },
  { header: "HEARTBEAT", align: "right", text: ({ peer }) => heartbeatAge(peer) },
  countColumn("NODES", "nodes"),
  countColumn("IDENTITIES", "identities"),
  countColumn("ENDPOINTS", "ip"),
  countColumn("SERVICES", "services"),
  { header: "REJECTED", align: "right", text: ({ peer }) => rejectedCount(peer) },
];

function countColumn(header: string, kind: string): Column<Row> {
  const text = ({ peer }: Row): string =>
    String(peer?.kinds.find((item) => item.kind === kind)?.records ?? "-");
  return { header, align: "right", text };
}

/** A context, or why it cannot be used: one that is broken must not hide the others. */
type Place = MeshContext | { readonly name: string; readonly problem: string };

async function selectContexts(
  values: { context?: string; kubeconfig?: string; namespace?: string },
  context: CommandContext,
): Promise<Place[]> {
  const { context: selected = "all", kubeconfig, namespace } = values;
  const find = (name: string): Promise<MeshContext> =>
    findContext({ name, kubeconfig, namespace }, context);
  if (selected !== "all") return [await find(selected)];
  const names = await listContexts(context.home);
  if (names.length > 0) {
    return Promise.all(
      names.map((name) =>
        find(name).catch((error: unknown) => ({ name, problem: messageFromError(error) })),
      ),
    );
  }
  const files = kubeconfig === undefined ? context.kubeconfigs : [kubeconfig];
  const current = (await listKubeconfigContexts(files)).find((item) => item.current);
  if (current !== undefined) return [contextFromKubeconfig(current, namespace)];
  throw new MeshError("not_found", "Cannot show any status: there is no context yet", {
    hint: "`mesh lab up` makes a lab with two clusters; --kubeconfig names a file with others",
  });
}

/** Sockets of directories are reached from anywhere, API servers from their network only. */
function namespaceOf(places: readonly Place[]): string | undefined {
  return commonNamespace(
    places.flatMap((place) => ("problem" in place || !isKubernetesContext(place) ? [] : [place])),
  );
}

/** What is told of one context; of drills, what its apiserver knows. */
interface ToldStatus extends Omit<ContextStatus, "drills"> {
  readonly drillCheck?: DrillCheckMessage | undefined;
}

async function readContextStatus(place: Place, context: CommandContext): Promise<ToldStatus> {
  const { name } = place;
  const unknown = { context: name, cluster: undefined, id: undefined, apiserver: undefined };
  if ("problem" in place) return { ...unknown, problem: place.problem };
  try {
    const { access, status } = openContext(place, context);
    const profile = await access.readProfile();
    const known = { context: name, cluster: profile.name, id: profile.id };
    try {
      const { drills, ...apiserver } = await status.readStatus(context.signal);
      const drillCheck = drills ?? (await readDrillCheck(status, context.signal));
      return { ...known, apiserver, problem: undefined, drillCheck };
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      return { ...known, apiserver: undefined, problem: firstMessage(error) };
    }
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return { ...unknown, problem: messageFromError(error) };
  }
}

/** Nothing that is in its way makes the rest of a status fail. */
async function readDrillCheck(
  { checkDrills }: ReportedStatusReader,
  signal: AbortSignal,
): Promise<DrillCheckMessage> {
  const unknown = (problem: string): DrillCheckMessage => ({ problem, failovers: [] });
  try {
    return (await checkDrills?.(signal)) ?? unknown("its apiserver is older");
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return unknown(
      isMeshError(error, "unsupported") ? "its apiserver is older" : firstMessage(error),
    );
  }
}

/** Reports of this machine's own are read only where the clusters' streams leave something open. */
async function withDrills(
  told: readonly ToldStatus[],
  context: CommandContext,
): Promise<ContextStatus[]> {
  const freshness = { nowMs: context.clock.nowMs(), staleDays: STALE_DAYS };
  const isOpen = told.some(({ drillCheck }) => drillCheck && wantsDrills(drillCheck, freshness));
  const reports = isOpen ? await openReports(context).list() : [];
  const drilled = DrilledFailovers.from(reports);
  return told.map(({ drillCheck, ...status }) =>
    drillCheck === undefined
      ? status
      : { ...status, drills: drillStatus(drillCheck, drilled, freshness) },
  );
}

function remarksOf({ context, apiserver, problem }: ContextStatus): string[] {
  if (problem !== undefined) return [`${context}: ${problem}`];
  const peers = (apiserver?.peers ?? []).flatMap((peer) => [
    ...(peer.reason === "" ? [] : [`${context}: peer ${peer.name}: ${peer.reason}`]),
    ...peer.kinds.flatMap(({ kind, rejectedLatest }) =>
      rejectedLatest
        .slice(0, 1)
        .map((latest) => `${context}: peer ${peer.name}: ${kind}: ${latest}`),
    ),
  ]);
  const operations = apiserver?.operations?.problem ?? "";
  return [
    ...(apiserver?.reasons ?? []).map((reason) => `${context}: ${reason}`),
    ...peers,
    ...(apiserver?.drains ?? []).map((drain) => `${context}: ${describeDrain(drain)}`),
    ...(operations === "" ? [] : [`${context}: operations plane: ${operations}`]),
  ];
}

function describeDrain(drain: DrainMessage): string {
  const { cluster, services, percent, secondsLeft, reason, toldBy } = drain;
  const what = services.length === 0 ? cluster : `${services.join(", ")} in ${cluster}`;
  const end = secondsLeft === 0 ? "no end" : `${formatLeft(secondsLeft)} left`;
  const why = reason === "" ? "" : `: ${reason}`;
  return `${what} is drained by ${percent} % (${end}, told by ${toldBy})${why}`;
}

function apiserverState({ apiserver }: ContextStatus): string {
  if (apiserver === undefined) return "down";
  return apiserver.ready ? "ready" : "not ready";
}

function peerState({ state, synced }: PeerStatus): string {
  return state === "ready" && !synced ? "ready, not in sync" : state;
}

function heartbeatAge(peer: PeerStatus | undefined): string {
  if (peer === undefined) return "-";
  if (peer.heartbeatAgeSeconds < 0) return CONNECTED.has(peer.state) ? "waiting" : "-";
  return `${Math.round(peer.heartbeatAgeSeconds)} s`;
}

/** In these states the first beat is on its way: they come once a minute. */
const CONNECTED: ReadonlySet<string> = new Set(["syncing", "ready", "stale"]);

function rejectedCount(peer: PeerStatus | undefined): string {
  if (peer === undefined) return "-";
  return String(peer.kinds.reduce((sum, { rejected }) => sum + rejected, 0));
}

/** The cause of an unreachable socket is always "connection refused" in many words. */
function firstMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

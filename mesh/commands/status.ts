// `mesh status`: every cluster that this machine may operate, its apiserver, and its peers as it
// sees them.
import { clusterPaths, readClusterProfile } from "../contexts/cluster-directory.ts";
import { listContexts, readContext } from "../contexts/contexts.ts";
import {
  createApiserverStatusReader,
  type ApiserverStatusMessage,
} from "../api/apiserver-client.ts";
import type { PeerStatus } from "../connect/cluster-facts.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
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

const USAGE = `Usage: mesh status [--context NAME|all] [--output table|json]

Shows for every context its cluster, whether its apiserver runs, and its peers: their state, the
age of their last heartbeat, how many records of each kind are mirrored, how many were rejected.
The exit status is 0 if every apiserver is ready and every peer in sync, otherwise 1.

  --context    one context; all of them by default
  --output     table (default) or json

Examples:
  mesh status
  mesh status --context east --output json
`;

const FLAGS = { context: { type: "string" }, output: { type: "string" } } as const;

/** What is shown of an apiserver's answer. */
export type ApiserverStatus = Pick<
  ApiserverStatusMessage,
  "version" | "ready" | "reasons" | "uptimeSeconds"
> & { readonly peers: readonly PeerStatus[] };

/** Everything that is known about one context. */
export interface ContextStatus {
  readonly context: string;
  readonly cluster: string | undefined;
  readonly id: number | undefined;
  /** undefined if no apiserver answered. */
  readonly apiserver: ApiserverStatus | undefined;
  readonly problem: string | undefined;
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
    const names = await selectContexts(values.context ?? "all", context.home);
    const statuses = await Promise.all(names.map((name) => readContextStatus(name, context)));
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
  const remarks = statuses.flatMap(remarksOf);
  const lines = remarks.map((remark) => `${styled(output, "yellow", "!")} ${remark}\n`);
  return formatTable(COLUMNS, rows) + (lines.length === 0 ? "" : `\n${lines.join("")}`);
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

async function selectContexts(selected: string, home: string): Promise<string[]> {
  if (selected !== "all") return [(await readContext(home, selected)).name];
  const names = await listContexts(home);
  if (names.length > 0) return names;
  throw new MeshError("not_found", "Cannot show any status: there is no context yet", {
    hint: "`mesh lab up` makes a lab with two clusters",
  });
}

async function readContextStatus(name: string, context: CommandContext): Promise<ContextStatus> {
  const unknown = { context: name, cluster: undefined, id: undefined, apiserver: undefined };
  try {
    const { directory } = await readContext(context.home, name);
    const profile = await readClusterProfile(directory);
    const known = { context: name, cluster: profile.name, id: profile.id };
    const reader = createApiserverStatusReader({
      socketPath: clusterPaths(directory).apiserverSocket,
      clock: context.clock,
    });
    try {
      const apiserver = await reader.readStatus(context.signal);
      return { ...known, apiserver, problem: undefined };
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      return { ...known, apiserver: undefined, problem: firstMessage(error) };
    }
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return { ...unknown, problem: messageFromError(error) };
  }
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
  return [...(apiserver?.reasons ?? []).map((reason) => `${context}: ${reason}`), ...peers];
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

// `mesh drain list`: the drains that are in force, wherever they were ordered.
import type { DrainMessage } from "../api/apiserver-client.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import { formatJson, formatTable, parseOutputFormat, styled, type Column } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { MEMBER_FLAGS, MEMBER_HELP, openMembers, readDrains } from "./drain-members.ts";

const USAGE = `Usage: mesh drain list [--context NAME ...] [--output table|json]

Shows the drains that are in force: which cluster gets less, how much of its new connections goes
elsewhere, for which services, when it ends by itself, and which cluster says so.

${MEMBER_HELP}
Examples:
  mesh drain list
  mesh drain list --output json
`;

export const drainListCommand: Command = {
  name: "drain list",
  summary: "the drains that are in force",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: MEMBER_FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": name contexts with --context`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const members = await openMembers(values, { context });
    if (typeof members === "number") return members;
    const problems = members.unreached.map((item) => `${item.context}: ${item.problem}`);
    const drains: DrainMessage[] = [];
    for (const member of members.reached) {
      try {
        drains.push(...(await readDrains(member, context)));
      } catch (error) {
        if (isMeshError(error, "aborted")) throw error;
        problems.push(`${member.context}: ${messageFromError(error)}`);
      }
    }
    const known = withoutRepeats(drains);
    context.stdout.write(format === "json" ? formatJson(known) : formatDrains(known));
    for (const problem of problems) {
      context.stderr.write(`${styled(context.stderr, "yellow", "!")} ${problem}\n`);
    }
    return problems.length === 0 ? 0 : 1;
  },
};

export function formatDrains(drains: readonly DrainMessage[]): string {
  return drains.length === 0 ? "No drain is in force.\n" : formatTable(COLUMNS, drains);
}

/** `59m 30s`; two of the larger units are enough. */
export function formatLeft(seconds: number): string {
  if (seconds <= 0) return "no end";
  const whole = Math.max(1, Math.round(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join(" ");
}

/** The same drain is known in every cluster that was told of it. */
function withoutRepeats(drains: readonly DrainMessage[]): DrainMessage[] {
  const known = new Map<string, DrainMessage>();
  for (const drain of drains) {
    const { cluster, services, toldBy, percent } = drain;
    known.set(JSON.stringify([cluster, services, toldBy, percent]), drain);
  }
  return [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, drain]) => drain);
}

const COLUMNS: readonly Column<DrainMessage>[] = [
  { header: "CLUSTER", text: ({ cluster }) => cluster },
  { header: "SERVICES", text: ({ services }) => services.join(" ") || "all" },
  { header: "DRAINED", align: "right", text: ({ percent }) => `${percent}%` },
  { header: "ENDS IN", align: "right", text: ({ secondsLeft }) => formatLeft(secondsLeft) },
  { header: "GRACE", align: "right", text: ({ graceSeconds }) => formatGrace(graceSeconds) },
  { header: "TOLD BY", text: ({ toldBy }) => toldBy },
  { header: "REASON", text: ({ reason }) => reason || "-" },
];

function formatGrace(seconds: number): string {
  return seconds === 0 ? "none" : formatLeft(seconds);
}

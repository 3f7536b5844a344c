// `mesh drain`: new connections shall go elsewhere. Asks first whether the others can take over,
// then writes one record: in the cluster itself, which tells everybody, or about it in every other.
import type { DrainCheckMessage } from "../api/apiserver-client.ts";
import { parseClusterName } from "../core/cluster.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { withDrains, type DrainOrder } from "../drain/change-drains.ts";
import { parseDuration } from "../drill/fields.ts";
import { MAX_GRACE_SECONDS, MAX_REASON_LENGTH } from "../kvstore/records/drain.ts";
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
import { drainListCommand, formatLeft } from "./drain-list.ts";
import {
  findMember,
  MEMBER_FLAGS,
  MEMBER_HELP,
  openMembers,
  readDrains,
  type Member,
  type Members,
} from "./drain-members.ts";

const USAGE = `Usage: mesh drain CLUSTER [--for TIME] [--percent N] [--service NAMESPACE/NAME ...] [--grace TIME]
                  [--reason TEXT] [--force] [--dry-run] [--context NAME ...] [--output table|json]
       mesh drain list

Sends new connections elsewhere, in the whole mesh: all of a cluster's, or a share of them, or those
of some services. Asks first whether another cluster has enough ready backends for each port of
every service that is concerned (min-healthy, or one), names those that have not, and stops there
unless --force is given. A drain refuses nobody: what no other cluster can serve is served on.

CLUSTER is a context, or a cluster's own name. A cluster whose apiserver does not answer cannot tell
the others: then each of the others that this machine has a context for is told to drain it.
Ordering again changes the drain. docs/drain.md tells how it is done.

  --for          when it ends by itself, with every program dead: 30s, 15m, 2h (default: never)
  --percent      share of new connections that goes elsewhere, 1 to 100 (100)
  --service      only this service; may be given again
  --grace        how long established connections are left alone before they are reset; only with
                 100 percent (30s)
  --reason       a line for the others who will ask why
  --force        also where services would be short, or where nobody could be asked
  --dry-run      show what would be short, and who would be told; change nothing
${MEMBER_HELP}
Examples:
  mesh drain west --for 1h --reason "new kernel"
  mesh drain west --percent 25 --for 15m
  mesh drain west --service shop/cart --dry-run
`;

const FLAGS = {
  ...MEMBER_FLAGS,
  for: { type: "string" },
  percent: { type: "string" },
  service: { type: "string", multiple: true },
  grace: { type: "string" },
  reason: { type: "string" },
  force: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

const DEFAULT_GRACE_SECONDS = 30;
/** A year; longer than any drain, and below what a date can hold. */
const MAX_FOR_MS = 365 * 86_400_000;
/** From the order until the apiserver has read it; a second is long. */
const TOLD_LIMIT_MS = 5_000;
const TOLD_LOOK_MS = 100;

/** One cluster's answer, or why there is none. */
interface Answer {
  readonly member: Member;
  readonly check: DrainCheckMessage | undefined;
  readonly problem: string;
}

interface ShortRow {
  readonly seenBy: string;
  readonly service: string;
  readonly port: string;
  readonly needed: number;
  readonly bestCluster: string;
  readonly bestBackends: number;
}

export interface DrainResult {
  readonly outcome: "drained" | "planned" | "refused";
  readonly cluster: string;
  readonly percent: number;
  readonly services: readonly string[];
  /** Seconds; 0 without an end. */
  readonly endsIn: number;
  /** Services with backends there, as far as anybody knows. */
  readonly affected: number;
  readonly short: readonly ShortRow[];
  /** The clusters in which it was written. */
  readonly toldBy: readonly string[];
  readonly remarks: readonly string[];
}

export const drainCommand: Command = {
  name: "drain",
  summary: "new connections go to other clusters; asks first whether they can take over",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (args.length === 0) return drainListCommand.run([], context);
    const [name, ...more] = positionals;
    if (name === undefined || more.length > 0) {
      throw usageError(`Cannot drain: want one cluster, got ${positionals.length} names`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const wish = orderFromFlags(values, context.clock.nowMs());
    const members = await openMembers(values, { context, named: name });
    if (typeof members === "number") return members;
    const target = findMember(members, name);
    const order: DrainOrder = {
      ...wish,
      cluster: target?.cluster ?? parseClusterName(name),
      clusterId: target?.clusterId,
    };
    const mode = { force: values.force === true, dryRun: values["dry-run"] === true };
    const result = await drain({ order, members, target, ...mode }, context);
    if (format === "json") context.stdout.write(formatJson(result));
    else describe(result, context);
    return result.outcome === "refused" ? 1 : 0;
  },
};

type Wish = Omit<DrainOrder, "cluster" | "clusterId">;

/** Throws `invalid_argument` naming the flag. */
export function orderFromFlags(
  flags: {
    readonly for?: string | undefined;
    readonly percent?: string | undefined;
    readonly service?: readonly string[] | undefined;
    readonly grace?: string | undefined;
    readonly reason?: string | undefined;
  },
  nowMs: number,
): Wish {
  const percent = Number(flags.percent ?? 100);
  if (!Number.isInteger(percent) || percent < 1 || percent > 100) {
    throw new MeshError("invalid_argument", `Cannot drain by "${flags.percent}": want 1 to 100`);
  }
  const forMs = timeOf("--for", flags.for, { maxMs: MAX_FOR_MS });
  const graceMs = timeOf("--grace", flags.grace, { maxMs: MAX_GRACE_SECONDS * 1_000 });
  const services = [...new Set(flags.service ?? [])];
  const wrong = services.find((service) => !/^[^/\s]+\/[^/\s]+$/.test(service));
  if (wrong !== undefined) {
    throw new MeshError("invalid_argument", `Cannot drain "${wrong}": want NAMESPACE/NAME`);
  }
  const reason = flags.reason ?? "";
  if (reason.length > MAX_REASON_LENGTH || /[\r\n]/.test(reason)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use --reason: want one line of at most ${MAX_REASON_LENGTH} characters`,
    );
  }
  return {
    percent,
    services,
    expiresAtMs: forMs === undefined ? 0 : nowMs + forMs,
    graceSeconds: graceMs === undefined ? DEFAULT_GRACE_SECONDS : Math.round(graceMs / 1_000),
    reason,
  };
}

function timeOf(
  flag: string,
  text: string | undefined,
  { maxMs }: { readonly maxMs: number },
): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  const tooShort = flag === "--for" && (ms ?? 0) < 1_000;
  if (ms === undefined || tooShort || ms > maxMs) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use ${flag} "${text}": want a time such as 30s, 15m or 2h`,
    );
  }
  return ms;
}

async function drain(
  options: {
    readonly order: DrainOrder;
    readonly members: Members;
    readonly target: Member | undefined;
    readonly force: boolean;
    readonly dryRun: boolean;
  },
  context: CommandContext,
): Promise<DrainResult> {
  const { order, members, target, force, dryRun } = options;
  const answers = await Promise.all(
    members.reached.map((member) => ask(member, { order, target, context })),
  );
  const asked = answers.filter(({ check }) => check !== undefined);
  const remarks = [
    ...members.unreached.map(({ context: name, problem }) => `${name} was not asked: ${problem}`),
    ...answers.flatMap(({ member, problem }) =>
      problem === "" ? [] : [`${member.cluster} was not asked: ${problem}`],
    ),
  ];
  const tellers = chooseTellers(asked, target);
  checkServices(order, asked);
  if (asked.length === 0 && !(force && target !== undefined)) {
    throw new MeshError(
      "unavailable",
      `Cannot drain "${order.cluster}": no cluster answers that is connected with it`,
      { hint: remarks[0] ?? "`mesh context list` shows the clusters that this machine knows" },
    );
  }
  const short = asked.flatMap(({ member, check }) =>
    (check?.short ?? []).map((item) => ({ seenBy: member.cluster, ...item })),
  );
  const result = {
    cluster: order.cluster,
    percent: order.percent,
    services: order.services,
    endsIn:
      order.expiresAtMs === 0 ? 0 : Math.ceil((order.expiresAtMs - context.clock.nowMs()) / 1_000),
    affected: Math.max(0, ...asked.map(({ check }) => check?.affected ?? 0)),
    short,
  };
  if (short.length > 0 && !force) return { ...result, outcome: "refused", toldBy: [], remarks };
  const toldBy = tellers.length > 0 ? tellers : target === undefined ? [] : [target];
  const names = toldBy.map(({ cluster }) => cluster);
  if (!names.includes(order.cluster)) {
    remarks.push(
      `"${order.cluster}" cannot tell the mesh itself: only ${names.join(", ")} will drain it`,
    );
  }
  if (dryRun) return { ...result, outcome: "planned", toldBy: names, remarks };
  for (const member of toldBy) {
    const nowMs = context.clock.nowMs();
    await member.drains.change((drains) => withDrains(drains, order, nowMs), context.signal);
  }
  for (const member of toldBy) {
    if (await isTold(member, { order, context })) continue;
    remarks.push(`the apiserver of ${member.cluster} has not read it yet: is it running?`);
  }
  return { ...result, outcome: "drained", toldBy: names, remarks };
}

/** Those that are connected with the cluster, and the cluster itself. */
async function ask(
  member: Member,
  about: {
    readonly order: DrainOrder;
    readonly target: Member | undefined;
    readonly context: CommandContext;
  },
): Promise<Answer> {
  const { order, target, context } = about;
  const { cluster, services } = order;
  try {
    if (member !== target) {
      const peers = await member.status.readPeers(context.signal);
      if (!peers.some(({ name }) => name === cluster)) {
        return { member, check: undefined, problem: `it is not connected with "${cluster}"` };
      }
    }
    const check = await member.drainChecker.checkDrain({ cluster, services }, context.signal);
    return { member, check, problem: "" };
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    // The causes of a socket that nobody answers are many words.
    return { member, check: undefined, problem: (error as Error).message };
  }
}

/** The cluster itself, if its apiserver answers; otherwise all others that do. */
function chooseTellers(asked: readonly Answer[], target: Member | undefined): readonly Member[] {
  const answering = asked.map(({ member }) => member);
  return target !== undefined && answering.includes(target) ? [target] : answering;
}

/** Throws `not_found` for a service that nobody could drain. */
function checkServices(order: DrainOrder, asked: readonly Answer[]): void {
  for (const service of order.services) {
    const problems = asked.map(({ check }) =>
      check?.problems.find((problem) => problem.startsWith(`${service} `)),
    );
    if (problems.length === 0 || problems.some((problem) => problem === undefined)) continue;
    throw new MeshError("not_found", `Cannot drain: ${problems[0]}`, {
      hint: "`mesh service list` shows the services and the clusters that answer for them",
    });
  }
}

async function isTold(
  member: Member,
  { order, context }: { readonly order: DrainOrder; readonly context: CommandContext },
): Promise<boolean> {
  const { clock, signal } = context;
  const endMs = clock.monotonicMs() + TOLD_LIMIT_MS;
  for (;;) {
    const drains = await readDrains(member, context);
    const told = drains.some(
      ({ cluster, percent, services, toldBy }) =>
        cluster === order.cluster &&
        percent === order.percent &&
        toldBy === member.cluster &&
        services.every((service) => order.services.includes(service)),
    );
    if (told || clock.monotonicMs() > endMs) return told;
    await clock.sleep(TOLD_LOOK_MS, signal);
  }
}

function describe(result: DrainResult, { stdout, stderr }: CommandContext): void {
  for (const remark of result.remarks) stderr.write(`${styled(stderr, "yellow", "!")} ${remark}\n`);
  if (result.short.length > 0) {
    stdout.write(
      `Not enough ready backends elsewhere for ${result.short.length} ports:\n` +
        `${formatTable(SHORT_COLUMNS, result.short)}\n`,
    );
  }
  stdout.write(describeOutcome(result, stdout));
}

function describeOutcome(result: DrainResult, output: Output): string {
  const { cluster, percent, services, endsIn, affected, toldBy } = result;
  if (result.outcome === "refused") {
    return `Not drained: nothing was changed.\n  hint: --force drains "${cluster}" all the same\n`;
  }
  const what = services.length === 0 ? cluster : `${services.join(", ")} in ${cluster}`;
  const end = endsIn === 0 ? "until `mesh undrain`" : `for ${formatLeft(endsIn)}`;
  const concerned = `${affected} global services have backends there; told by ${toldBy.join(", ")}`;
  const head =
    result.outcome === "planned"
      ? styled(output, "bold", "Would drain:")
      : styled(output, "green", "Drained:");
  return `${head} ${what}, ${percent} % of new connections go elsewhere, ${end}.\n${concerned}.\n`;
}

const SHORT_COLUMNS: readonly Column<ShortRow>[] = [
  { header: "SERVICE", text: ({ service }) => service },
  { header: "PORT", text: ({ port }) => port },
  { header: "NEEDS", align: "right", text: ({ needed }) => String(needed) },
  {
    header: "BEST OF THE OTHERS",
    text: ({ bestCluster, bestBackends }) =>
      bestCluster === "" ? "none" : `${bestCluster} ${bestBackends}`,
  },
  { header: "SEEN BY", text: ({ seenBy }) => seenBy },
];

// `mesh undrain`: takes drains back, wherever they were ordered.
import { parseClusterName } from "../core/cluster.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import { withoutDrains } from "../drain/change-drains.ts";
import type { DrainRecord } from "../kvstore/records/drain.ts";
import { formatJson, parseOutputFormat, styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import {
  findMember,
  MEMBER_FLAGS,
  MEMBER_HELP,
  openMembers,
  type Member,
} from "./drain-members.ts";

const USAGE = `Usage: mesh undrain CLUSTER [--service NAMESPACE/NAME ...] [--context NAME ...]
                    [--output table|json]

Takes drains of a cluster back, those that the cluster has ordered of itself and those that others
have ordered about it: all of them, or those of some services.

  --service      only the drain of this service; may be given again
${MEMBER_HELP}
Examples:
  mesh undrain west
  mesh undrain west --service shop/cart
`;

const FLAGS = { ...MEMBER_FLAGS, service: { type: "string", multiple: true } } as const;

export const undrainCommand: Command = {
  name: "undrain",
  summary: "take drains of a cluster back",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const [name, ...more] = positionals;
    if (name === undefined || more.length > 0) {
      throw usageError(`Cannot undrain: want one cluster, got ${positionals.length} names`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const members = await openMembers(values, { context, named: name });
    if (typeof members === "number") return members;
    const cluster = findMember(members, name)?.cluster ?? parseClusterName(name);
    const order = { cluster, services: values.service ?? [] };
    const problems = members.unreached.map((item) => `${item.context}: ${item.problem}`);
    const removed: { cluster: string; drains: readonly DrainRecord[] }[] = [];
    for (const member of members.reached) {
      try {
        const drains = await takeBack(member, { order, context });
        if (drains.length > 0) removed.push({ cluster: member.cluster, drains });
      } catch (error) {
        if (isMeshError(error, "aborted")) throw error;
        problems.push(`${member.context}: ${messageFromError(error)}`);
      }
    }
    if (format === "json") context.stdout.write(formatJson({ cluster, removed, problems }));
    else describe({ cluster, removed, problems }, context);
    return problems.length === 0 ? 0 : 1;
  },
};

async function takeBack(
  member: Member,
  about: {
    readonly order: { readonly cluster: string; readonly services: readonly string[] };
    readonly context: CommandContext;
  },
): Promise<readonly DrainRecord[]> {
  const { order, context } = about;
  const nowMs = context.clock.nowMs();
  const before = await member.drains.read(context.signal);
  if (withoutDrains(before, order, nowMs).removed.length === 0) return [];
  let removed: readonly DrainRecord[] = [];
  await member.drains.change((drains) => {
    const change = withoutDrains(drains, order, nowMs);
    removed = change.removed;
    return change.kept;
  }, context.signal);
  return removed;
}

function describe(
  result: {
    readonly cluster: string;
    readonly removed: readonly { readonly cluster: string; readonly drains: readonly unknown[] }[];
    readonly problems: readonly string[];
  },
  { stdout, stderr }: CommandContext,
): void {
  const { cluster, removed, problems } = result;
  for (const problem of problems) stderr.write(`${styled(stderr, "yellow", "!")} ${problem}\n`);
  if (removed.length === 0)
    stdout.write(`${cluster} is not drained by any cluster that was asked.\n`);
  for (const { cluster: teller, drains } of removed) {
    const count = drains.length === 1 ? "1 drain" : `${drains.length} drains`;
    stdout.write(
      `${styled(stdout, "green", "Taken back:")} ${count} of ${cluster}, in ${teller}\n`,
    );
  }
}

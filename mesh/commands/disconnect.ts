// `mesh disconnect`: shows what two clusters would lose, then takes them apart; cleans the own
// side alone when the peer is gone.
import type { MeshContext } from "../contexts/contexts.ts";
import { openContext } from "../connect/context-access.ts";
import {
  breaksService,
  disconnectClusters,
  type DisconnectResult,
  type Side,
  type SideLosses,
} from "../connect/disconnect.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import { formatJson, parseOutputFormat, styled, type Output } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP, findContext, type ContextWish } from "./select-context.ts";

const USAGE = `Usage: mesh disconnect CONTEXT PEER [--force] [--dry-run] [--output table|json]

Takes two clusters apart. Shows first which global services would lose backends, and stops there
if one would be left without any, unless --force is given. PEER is a context, or the name of a
cluster that is gone: then only CONTEXT's side is cleaned.

  --force        disconnect also when services lose their last backends, or when PEER's API server
                 does not answer: then only CONTEXT's side is cleaned
  --dry-run      show what would break; change nothing
${CONTEXT_HELP}  --output       table (default) or json

Examples:
  mesh disconnect east west --dry-run
  mesh disconnect east west --force
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  force: { type: "boolean" },
  "dry-run": { type: "boolean" },
  output: { type: "string" },
} as const;

export const disconnectCommand: Command = {
  name: "disconnect",
  summary: "take two clusters apart; shows what would break",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const [name, peerName, ...others] = positionals;
    if (name === undefined || peerName === undefined || others.length > 0) {
      throw usageError(
        `Cannot disconnect: want a context and a peer, got ${positionals.length} names`,
        USAGE,
      );
    }
    const { kubeconfig, namespace } = values;
    const own = await findContext({ name, kubeconfig, namespace }, context);
    const status = await enterNamespace(own.networkNamespace, context);
    if (status !== undefined) return status;
    const side = await openSide(own, context);
    const force = values.force === true;
    const peerWish = { name: peerName, kubeconfig, namespace };
    const peerSide = await openPeerSide(peerWish, { context, force });
    const result = await disconnectClusters(side, {
      peer: peerSide?.cluster ?? peerName,
      peerSide,
      force,
      dryRun: values["dry-run"] === true,
      onLosses: (losses) => context.stderr.write(describeLosses(losses, context.stderr)),
      signal: context.signal,
    });
    if (format === "json") context.stdout.write(formatJson(result));
    else context.stdout.write(describeResult(result, context.stdout));
    return result.outcome === "refused" ? 1 : 0;
  },
};

async function openSide(item: MeshContext, context: CommandContext): Promise<Side> {
  const { access } = openContext(item, context);
  return { access, cluster: (await access.readProfile()).name };
}

/** Undefined, and said so, when there is no way in to the peer any more. */
async function openPeerSide(
  wish: ContextWish,
  { context, force }: { context: CommandContext; force: boolean },
): Promise<Side | undefined> {
  try {
    return await openSide(await findContext(wish, context), context);
  } catch (error) {
    const silent = isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded");
    if (silent && !force) {
      throw new MeshError("unavailable", `Cannot disconnect both sides`, {
        cause: error,
        hint: "if that cluster is gone, --force cleans only the own side",
      });
    }
    if (!silent && !isMeshError(error, "not_found")) throw error;
    context.stderr.write(
      `"${wish.name}" cannot be reached (${messageFromError(error)}): only the own side is cleaned\n`,
    );
    return undefined;
  }
}

function describeLosses(sides: readonly SideLosses[], output: Output): string {
  return sides
    .map(({ cluster, losses, unknown }) => {
      if (unknown !== undefined) return `${cluster}: what it would lose is not known: ${unknown}\n`;
      if (losses.length === 0) return `${cluster}: no global service would lose backends\n`;
      const lines = losses.map(({ service, lostBackends, remainingBackends }) => {
        const rest =
          remainingBackends === 0
            ? styled(output, "red", "none left")
            : `${remainingBackends} left`;
        return `  ${service}: loses ${lostBackends} backends, ${rest}\n`;
      });
      return `${cluster} would lose backends of ${losses.length} global services:\n${lines.join("")}`;
    })
    .join("");
}

function describeResult(result: DisconnectResult, output: Output): string {
  const names = `${result.cluster} and ${result.peer}`;
  switch (result.outcome) {
    case "refused": {
      const sides = result.losses.filter(breaksService).map(({ cluster }) => cluster);
      return (
        `Not disconnected: services of ${sides.join(" and ")} would be left without backends.\n` +
        "  hint: --force disconnects all the same\n"
      );
    }
    case "planned":
      return `Would disconnect ${names}; sides to be cleaned: ${result.sides.join(", ")}.\n`;
    case "disconnected": {
      const only = result.sides.length === 1 ? ` (only the side of ${result.cluster})` : "";
      return `${styled(output, "green", "Disconnected:")} ${names}${only}\n`;
    }
  }
}

// `mesh invite`: prints a token with which another operator can join a cluster of theirs to ours.
import { openContext } from "../connect/context-access.ts";
import { isKubernetesContext } from "../contexts/contexts.ts";
import { createInvite, INVITE_TTL_DEFAULT_MS, parseInviteTtl } from "../connect/invite.ts";
import { encodeInviteToken } from "../connect/invite-token.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP, findContext } from "./select-context.ts";

const USAGE = `Usage: mesh invite --context NAME [--ttl 15m] [--output table|json]

Prints a token with which one other cluster can join this one. It works once and for minutes.
Whoever holds it can connect a cluster: send it on a channel that you trust.

  --context      the cluster that invites
  --ttl          how long it works: 60s to 24h, 15m by default
${CONTEXT_HELP}  --output       table (default) or json

Example:
  mesh invite --context west --ttl 30m
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  context: { type: "string" },
  ttl: { type: "string" },
  output: { type: "string" },
} as const;

export const inviteCommand: Command = {
  name: "invite",
  summary: "print a token with which another cluster can join",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const ttlMs = values.ttl === undefined ? INVITE_TTL_DEFAULT_MS : parseInviteTtl(values.ttl);
    if (values.context === undefined || positionals.length > 0) {
      throw usageError("Cannot invite: name the inviting cluster with --context", USAGE);
    }
    const found = await findContext({ ...values, name: values.context }, context);
    const entered = isKubernetesContext(found)
      ? await enterNamespace(found.networkNamespace, context)
      : undefined; // Its files can be read from here.
    if (entered !== undefined) return entered;
    const cluster = openContext(found, context);
    const token = await createInvite({
      inviter: await cluster.readInviter(context.signal),
      invites: cluster.invites,
      ttlMs,
      nowMs: context.clock.nowMs(),
    });
    const text = encodeInviteToken(token);
    const expiresAt = new Date(token.expiresAtMs).toISOString();
    if (format === "json") {
      const { cluster, inviteId } = token;
      context.stdout.write(formatJson({ token: text, cluster, inviteId, expiresAt }));
    } else {
      context.stdout.write(`${text}\n`);
      context.stderr.write(
        `It works once, until ${expiresAt}. In the other cluster:\n` +
          "  mesh join --token-file /dev/stdin --context NAME\n",
      );
    }
    return 0;
  },
};

// `mesh join`: connects a cluster of ours with one whose operator gave us a token.
import { readFile } from "node:fs/promises";
import { openContext } from "../connect/context-access.ts";
import { parseInviteToken } from "../connect/invite-token.ts";
import { joinCluster } from "../connect/join.ts";
import { MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat, styled } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP, findContext } from "./select-context.ts";

const USAGE = `Usage: mesh join TOKEN --context NAME [--output table|json]
       mesh join --token-file PATH --context NAME [--output table|json]

Connects the cluster of the context with the cluster that made the token (mesh invite). Checks
first whether they fit together, and waits until each has read the other. If anything fails, both
are left as they were.

  --context      the cluster that joins
  --token-file   read the token from a file, or from /dev/stdin: the arguments of a process can be
                 read by every user of the machine
${CONTEXT_HELP}  --output       table (default) or json

Examples:
  mesh join tmb1.ANl4… --context east
  mesh join --token-file /dev/stdin --context east
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  context: { type: "string" },
  "token-file": { type: "string" },
  output: { type: "string" },
} as const;

export const joinCommand: Command = {
  name: "join",
  summary: "connect a cluster with the one that made a token",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const source = selectTokenSource(positionals, values["token-file"]);
    if (values.context === undefined) {
      throw usageError("Cannot join: name the joining cluster with --context", USAGE);
    }
    const { kubeconfig, namespace } = values;
    const wish = { name: values.context, kubeconfig, namespace };
    const found = await findContext(wish, context);
    const status = await enterNamespace(found.networkNamespace, context);
    if (status !== undefined) return status;
    // Only now: a token on /dev/stdin can be read once, and is read by the process that uses it.
    const token = parseInviteToken(await readToken(source));
    const result = await joinCluster(token, {
      access: openContext(found, context).access,
      clock: context.clock,
      onProgress: (line) => context.stderr.write(`join: ${line}\n`),
      signal: context.signal,
    });
    context.stdout.write(
      format === "json"
        ? formatJson({ outcome: "connected", ...result })
        : `${styled(context.stdout, "green", "Connected:")} ${result.cluster}, ${result.peer}\n`,
    );
    return 0;
  },
};

type TokenSource = { readonly token: string } | { readonly path: string };

function selectTokenSource(words: readonly string[], path: string | undefined): TokenSource {
  const [token, ...others] = words;
  if (path === undefined && token !== undefined && others.length === 0) return { token };
  if (path !== undefined && token === undefined) return { path };
  throw usageError("Cannot join: want one token, as a word or with --token-file", USAGE);
}

async function readToken(source: TokenSource): Promise<string> {
  if ("token" in source) return source.token;
  try {
    return await readFile(source.path, "utf8");
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read the token from "${source.path}"`, { cause });
  }
}

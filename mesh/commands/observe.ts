// `mesh observe`: what passes at the pods of a node and what is dropped there, and why.
import type { ObserveRequest } from "../api/policy-messages.ts";
import { MeshError } from "../core/errors.ts";
import { parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, AGENT_USAGE, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { formatObserved } from "./show-flow.ts";

const USAGE = `Usage: mesh observe [--last N] [--follow] [--pod NAMESPACE/POD]... [--in NAMESPACE]...
                    [--cluster NAME]... [--label KEY=VALUE]... [--verdict forwarded|dropped]
                    [--protocol NAME]... [--port NUMBER]...
                    [--node NAME | --socket PATH] [--output table|json]

Shows the flow records of a node: connections of its pods that began, went on and ended, with what
passed in each direction, and packets that were dropped, each with its reason and with the rule
that decided. Equal drops share a record that counts them. Records that were lost because they came
faster than they were read are counted and shown.

A flag that is given again adds a choice; different flags must all hold. Pods, namespaces, clusters
and labels may be those of either end.

  --last N             the newest N of what is kept (20); 0 for none
  --follow             go on with what happens, until interrupted
  --pod NAMESPACE/POD  only flows of this pod
  --in NAMESPACE       only flows of pods of this namespace
  --cluster NAME       only flows of pods of this cluster
  --label KEY=VALUE    only flows of pods with this label ("k8s:" may be left out)
  --verdict WORD       forwarded or dropped
  --protocol NAME      TCP, UDP, SCTP, ICMP, ICMPv6
  --port NUMBER        only flows to this port
${AGENT_USAGE}
Examples:
  mesh observe --node east-node1
  mesh observe --node east-node1 --verdict dropped --in shop --last 100 --output json
  mesh observe --node east-node1 --follow --pod shop/cart-1 --protocol TCP --port 8080
`;

const FLAGS = {
  ...AGENT_FLAGS,
  last: { type: "string" },
  follow: { type: "boolean" },
  pod: { type: "string", multiple: true },
  in: { type: "string", multiple: true },
  cluster: { type: "string", multiple: true },
  label: { type: "string", multiple: true },
  verdict: { type: "string", multiple: true },
  protocol: { type: "string", multiple: true },
  port: { type: "string", multiple: true },
} as const;

const DEFAULT_LAST = 20;
/** Whoever wants more follows. */
const LAST_MAX = 100_000;
const VERDICTS = ["forwarded", "dropped"];
const PROTOCOLS = ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6"];

export const observeCommand: Command = {
  name: "observe",
  summary: "what passes at the pods of a node, what is dropped there, and why",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": want flags only`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const request = parseObserveRequest(values);
    const { stdout: output, signal } = context;
    try {
      await askAgent(values, {
        context,
        ask: async (client) => {
          for await (const observed of client.observe(request, signal)) {
            output.write(formatObserved(observed, { format, output }));
          }
        },
      });
    } catch (error) {
      // How following ends.
      if (!signal.aborted) throw error;
    }
    return 0;
  },
};

type Many = readonly string[] | undefined;

/** Throws `invalid_argument` for a flag that cannot be used. */
export function parseObserveRequest(values: {
  readonly last?: string | undefined;
  readonly follow?: boolean | undefined;
  readonly pod?: Many;
  readonly in?: Many;
  readonly cluster?: Many;
  readonly label?: Many;
  readonly verdict?: Many;
  readonly protocol?: Many;
  readonly port?: Many;
}): ObserveRequest {
  return {
    last: parseNumber("last", values.last ?? String(DEFAULT_LAST), LAST_MAX),
    follow: values.follow ?? false,
    clusters: values.cluster ?? [],
    namespaces: values.in ?? [],
    pods: (values.pod ?? []).map((text) => {
      if (/^[^/\s]+\/[^/\s]+$/.test(text)) return text;
      throw refuse("pod", text, "NAMESPACE/POD");
    }),
    labels: (values.label ?? []).map((text) => {
      if (!/^[^=]+=/.test(text)) throw refuse("label", text, "KEY=VALUE");
      return /^[-a-z0-9]+:/.test(text) ? text : `k8s:${text}`;
    }),
    verdicts: (values.verdict ?? []).map((text) => parseWord("verdict", text, VERDICTS)),
    protocols: (values.protocol ?? []).map((text) => parseWord("protocol", text, PROTOCOLS)),
    ports: (values.port ?? []).map((text) => parseNumber("port", text, 65_535)),
  };
}

function parseWord(flag: string, text: string, words: readonly string[]): string {
  const found = words.find((word) => word.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw refuse(flag, text, words.join(", "));
}

function parseNumber(flag: string, text: string, max: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= max) return Number(text);
  throw refuse(flag, text, `a number up to ${max}`);
}

function refuse(flag: string, text: string, want: string): MeshError {
  return new MeshError("invalid_argument", `Cannot use --${flag} "${text}": want ${want}`);
}

// `mesh policy trace`: what becomes of a packet that is never sent: asked at both ends, of the
// policies and of the datapath.
import { createAgentClient, type AgentClient } from "../api/agent-client.ts";
import type { PodName } from "../api/policy-messages.ts";
import { listLocalNodes } from "../contexts/local-nodes.ts";
import { addressFromText } from "../core/address.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { AGENT_FLAGS, askAgent } from "./agent-node.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { differs, formatTrace, isAllowed, type TracedEnd } from "./show-trace.ts";

const USAGE = `Usage: mesh policy trace --from POD|ADDRESS --to POD|ADDRESS --port PORT/PROTOCOL
                         [--node NAME | --socket PATH] [--output table|json]

Says whether a packet would be allowed, without sending one: at the pod that sends it and at the pod
that receives it, by which rule in which object, with all other rules that speak of it. Beside it
stands what the pod's own map in the kernel answers, and a mark where that differs. Every node of
this machine is asked for the pods; with --node or --socket only that one, and an end that is not
there is left out. The exit status is 0 if the packet is allowed, otherwise 1.

  --from, --to     NAMESPACE/POD@CLUSTER, or an address outside the mesh (or of a node)
  --port           80/TCP, 53/UDP, 8/ICMP or 128/ICMPv6 (the type); as the pod is asked, behind
                   the translation of services
  --node NAME      only this node of this machine's lab
  --socket PATH    only the agent of this unix socket
  --output FORMAT  table (default) or json

Examples:
  mesh policy trace --from shop/client@east --to shop/cart-1@west --port 8080/TCP
  mesh policy trace --from 203.0.113.9 --to shop/cart-1@east --port 8080/TCP --output json
`;

const FLAGS = {
  ...AGENT_FLAGS,
  from: { type: "string" },
  to: { type: "string" },
  port: { type: "string" },
} as const;

const PROTOCOLS = ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6"] as const;

type End = { readonly pod: PodName } | { readonly address: string };

interface TracedPacket {
  readonly from: End;
  readonly to: End;
  readonly protocol: string;
  readonly port: number;
}

export const policyTraceCommand: Command = {
  name: "policy trace",
  summary: "whether a packet would be allowed, and by which rule",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot use "${positionals[0]}": want --from, --to and --port`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const packet = parsePacket(values);
    const ends = await withAgents(values, context, (agents) => traceEnds(agents, packet, context));
    const text = `${endText(packet.from)} → ${endText(packet.to)} ${packet.port}/${packet.protocol}`;
    const { stdout } = context;
    stdout.write(
      format === "json"
        ? formatJson({
            packet: text,
            allowed: isAllowed(ends),
            ends: ends.map((end) => ({
              ...end,
              trace: end.trace ?? null,
              differs: end.trace !== undefined && differs(end.trace),
            })),
          })
        : formatTrace({ packet: text, ends }, stdout),
    );
    return isAllowed(ends) ? 0 : 1;
  },
};

/** Throws `invalid_argument`. */
export function parsePacket(values: {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly port?: string | undefined;
}): TracedPacket {
  const [from, to] = [parseEnd("from", values.from), parseEnd("to", values.to)];
  if (!("pod" in from) && !("pod" in to)) {
    throw new MeshError("invalid_argument", "Cannot trace: want a pod at one end at least");
  }
  const [, number = "", name = ""] = /^(\d{1,5})\/(\w+)$/.exec(values.port ?? "") ?? [];
  const protocol = PROTOCOLS.find((one) => one.toLowerCase() === name.toLowerCase());
  const port = Number(number);
  const max = protocol?.startsWith("ICMP") === true ? 255 : 65_535;
  if (number === "" || protocol === undefined || port > max) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use --port "${values.port ?? ""}": want PORT/PROTOCOL, as 80/TCP or 8/ICMP`,
      { hint: `protocols are ${PROTOCOLS.join(", ")}` },
    );
  }
  return { from, to, protocol, port };
}

function parseEnd(flag: string, text = ""): End {
  const address = addressFromText(text);
  if (address !== undefined) return { address: address.text };
  const match = /^([^/@\s]+)\/([^/@\s]+)@([^/@\s]+)$/.exec(text);
  if (match !== null) {
    const [, namespace = "", name = "", cluster = ""] = match;
    return { pod: { cluster, namespace, name } };
  }
  throw new MeshError(
    "invalid_argument",
    `Cannot use --${flag} "${text}": want NAMESPACE/POD@CLUSTER or an address`,
  );
}

function endText(end: End): string {
  if (!("pod" in end)) return end.address;
  const { namespace, name, cluster } = end.pod;
  return `${namespace}/${name}@${cluster}`;
}

async function traceEnds(
  agents: readonly AgentClient[],
  packet: TracedPacket,
  { signal }: CommandContext,
): Promise<TracedEnd[]> {
  const ends = [
    { direction: "egress", end: packet.from, peer: packet.to },
    { direction: "ingress", end: packet.to, peer: packet.from },
  ] as const;
  return Promise.all(
    ends.map(async ({ direction, end, peer }): Promise<TracedEnd> => {
      const shown = { direction, end: endText(end) };
      if (!("pod" in end)) return { ...shown, trace: undefined, why: "no pod, and no policy" };
      const agent = await agentOf(end.pod, agents, signal);
      if (agent === undefined) {
        return { ...shown, trace: undefined, why: "not a pod of the nodes that were asked" };
      }
      const { namespace, name } = end.pod;
      const { protocol, port } = packet;
      const request = {
        namespace,
        name,
        direction,
        protocol,
        port,
        peerPod: "pod" in peer ? peer.pod : null,
        peerAddress: "pod" in peer ? "" : peer.address,
      };
      return { ...shown, trace: await agent.tracePolicy(request, signal), why: "" };
    }),
  );
}

/** Nodes that do not answer have no pods that could be asked. */
async function agentOf(
  pod: PodName,
  agents: readonly AgentClient[],
  signal: AbortSignal,
): Promise<AgentClient | undefined> {
  const found = await Promise.all(
    agents.map(async (agent) => {
      try {
        const { cluster, endpoints } = await agent.listEndpoints(pod, signal);
        const isHere = endpoints.some(({ name }) => name === pod.name);
        return cluster === pod.cluster && isHere ? [agent] : [];
      } catch (error) {
        if (isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded")) return [];
        throw error;
      }
    }),
  );
  return found.flat()[0];
}

/** The one that is named, or all of this machine's. */
async function withAgents<T>(
  target: { readonly node?: string | undefined; readonly socket?: string | undefined },
  context: CommandContext,
  work: (agents: readonly AgentClient[]) => Promise<T>,
): Promise<T> {
  const nodes = await listLocalNodes("socket", context);
  if (target.node !== undefined || target.socket !== undefined || nodes.length < 2) {
    return askAgent(target, { context, ask: (client) => work([client]) });
  }
  const agents = nodes.map(({ path }) => createAgentClient({ socket: path, clock: context.clock }));
  try {
    return await work(agents);
  } finally {
    for (const agent of agents) agent.close();
  }
}

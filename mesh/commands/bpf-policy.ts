// `mesh bpf policy`: the policies in a node's eBPF maps, without asking anybody.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import { PolicyEnforcement, PolicyVerdict, TrafficDirection } from "../../bpf/gen/layout.ts";
import type { PolicyEntry, PolicyKey } from "../../bpf/gen/layout.ts";
import type { PolicyMaps } from "../../bpf/policy-maps.ts";
import { formatJson, formatTable, type Column } from "../terminal.ts";
import { BPF_USAGE, nameOfNumber, parseBpfRequest } from "./bpf-node.ts";
import type { Command } from "./command.ts";
import { formatPlane } from "./show-endpoint.ts";

const USAGE = `Usage: mesh bpf policy [--node NAME | --bpf-root PATH] [--output table|json]

Shows the policy maps of a node's pods as the kernel has them: the interface of each pod, who it is,
and its entries with the number of the rule behind each. \`mesh endpoint get\` has the names.

${BPF_USAGE}
Examples:
  mesh bpf policy --node east-node1
  mesh bpf policy --bpf-root /sys/fs/bpf/tombolo --output json
`;

export interface PolicyView {
  readonly ifindex: number;
  readonly identity: number;
  readonly revision: number;
  readonly enforcement: string;
  readonly entries: readonly EntryView[];
}

export interface EntryView {
  readonly direction: string;
  readonly identity: number;
  /** IANA's number; 0 for every protocol. */
  readonly protocol: number;
  /** Both inclusive; of ICMP the type. */
  readonly firstPort: number;
  readonly lastPort: number;
  readonly verdict: string;
  readonly rule: number;
}

export const bpfPolicyCommand: Command = {
  name: "bpf policy",
  summary: "policies of pods in a node's eBPF maps",
  usage: USAGE,
  async run(args, context) {
    const { bpfRoot, format } = await parseBpfRequest(args, { home: context.home, usage: USAGE });
    const { openDatapathMaps } = await import("../../bpf/datapath.ts");
    const { openPolicyMaps } = await import("../../bpf/policy-maps.ts");
    using maps = openDatapathMaps(bpfRoot);
    using policies = openPolicyMaps(bpfRoot);
    const views = collectPolicies({ policyState: maps.policyState, policies });
    context.stdout.write(format === "json" ? formatJson(views) : formatPolicies(views));
    return 0;
  },
};

/** By interface; entries by direction, identity and port. */
export function collectPolicies({
  policyState,
  policies,
}: {
  readonly policyState: Pick<DatapathMaps["policyState"], "entries">;
  readonly policies: Pick<PolicyMaps, "open">;
}): PolicyView[] {
  return [...policyState.entries()]
    .map(([{ ifindex }, { identity, revision, enforcement }]) => {
      using map = policies.open(ifindex);
      return {
        ifindex,
        identity,
        revision,
        enforcement: nameOfNumber(PolicyEnforcement, enforcement),
        entries: [...(map?.entries() ?? [])].map(entryView).sort(compareEntries),
      };
    })
    .sort((a, b) => a.ifindex - b.ifindex);
}

/** Bits of a key in front of the protocol, and with it (bpf/include/policy.h). */
const EVERY_PROTOCOL_BITS = 40;
const EVERY_PORT_BITS = 48;
const PORT_BITS = 16;

function entryView([key, entry]: readonly [PolicyKey, PolicyEntry]): EntryView {
  const { prefixLength, identity, direction, protocol, port } = key;
  const ports = 2 ** (PORT_BITS - Math.max(0, prefixLength - EVERY_PORT_BITS));
  return {
    direction: nameOfNumber(TrafficDirection, direction),
    identity,
    protocol: prefixLength <= EVERY_PROTOCOL_BITS ? 0 : protocol,
    firstPort: prefixLength <= EVERY_PORT_BITS ? 0 : port,
    lastPort: (prefixLength <= EVERY_PORT_BITS ? 0 : port) + ports - 1,
    verdict: nameOfNumber(PolicyVerdict, entry.verdict),
    rule: entry.rule,
  };
}

function compareEntries(a: EntryView, b: EntryView): number {
  if (a.direction !== b.direction) return a.direction < b.direction ? 1 : -1;
  return a.identity - b.identity || a.protocol - b.protocol || a.firstPort - b.firstPort;
}

function formatPolicies(views: readonly PolicyView[]): string {
  if (views.length === 0) return "no pod of this node has a policy\n";
  return views
    .map(({ ifindex, identity, revision, enforcement, entries }) => {
      const head = `interface ${ifindex}: identity ${identity}, ${enforcement}, revision ${revision}\n`;
      return entries.length === 0 ? `${head}no entries\n` : head + formatTable(COLUMNS, entries);
    })
    .join("\n");
}

const COLUMNS: readonly Column<EntryView>[] = [
  { header: "DIRECTION", text: ({ direction }) => direction },
  { header: "VERDICT", text: ({ verdict }) => verdict },
  { header: "IDENTITY", text: ({ identity }) => formatPlane(identity, "") },
  { header: "PROTOCOL", text: ({ protocol }) => formatProtocol(protocol) },
  { header: "PORTS", text: formatPorts },
  { header: "RULE", align: "right", text: ({ rule }) => String(rule) },
];

function formatPorts({ firstPort, lastPort }: EntryView): string {
  if (firstPort === 0 && lastPort === 65_535) return "any";
  return firstPort === lastPort ? String(firstPort) : `${firstPort}-${lastPort}`;
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  0: "any",
  1: "ICMP",
  6: "TCP",
  17: "UDP",
  58: "ICMPv6",
  132: "SCTP",
};

/** By IANA's number. */
export function formatProtocol(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? String(protocol);
}

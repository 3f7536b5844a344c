// The policy of this node, put together from its real parts: who its pods are, what the engine
// makes of the cluster's policies, and the kernel's maps.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import type { PolicyMaps } from "../../bpf/policy-maps.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { identityRange } from "../../mesh/core/identity.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Table, WritableTable } from "../../mesh/core/table.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import { prefixFromIpcacheKey } from "../../bpf/address.ts";
import type { Agent } from "../agent.ts";
import { createRowsApplied } from "../apply/cidr-rows.ts";
import { createPolicyTarget } from "../apply/policy-target.ts";
import type { AddressBook } from "../cni/address-book.ts";
import type { PolicySettings } from "../config.ts";
import { watchNodeAddressBook } from "../cni/node-address-book.ts";
import { createPolicyPlanner, type PolicyPlanner } from "../desired/policy.ts";
import { runCollector } from "./collect-connections.ts";
import { createLocalEndpoints, type LocalEndpoint } from "../endpoints/local-endpoints.ts";
import type { IpcacheRow } from "../plan/plan-ipcache.ts";
import { createPolicyEngine, type CidrRow, type PolicyEngine } from "../policy/engine.ts";
import { FIRST_CIDR_NUMBER } from "../policy/entry.ts";

export interface NodePolicyOptions {
  readonly settings: PolicySettings;
  readonly cluster: ClusterIdentity;
  readonly agent: Pick<Agent, "intent" | "tables">;
  readonly maps: Pick<DatapathMaps, "policyNode" | "policyState" | "ipcache">;
  readonly policies: PolicyMaps;
  /** What the engine wants of the ipcache; the agent's planner claims it. */
  readonly cidrRows: WritableTable<CidrRow>;
  readonly book: Pick<AddressBook, "list">;
  readonly stateDirectory: string;
  readonly interfaceIndex: (name: string) => number;
  /** Forgets connections that are over; returns how many. */
  readonly collect: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NodePolicy {
  readonly endpoints: Table<LocalEndpoint>;
  readonly engine: PolicyEngine;
  readonly planner: PolicyPlanner;
  readonly tasks: readonly Task[];
  /** Whether it is known what a pod may do: new programs at it change nothing. */
  isDecided(ifindex: number): boolean;
  /** Resolves when that is known of all pods, or when the signal aborts. */
  decided(signal: AbortSignal): Promise<void>;
  /** Why some pods are closed, or not as they should be; "" if none is. */
  problem(): string;
}

/** Pods that a sentence of status names; the others are counted. */
const NAMED = 3;

export function createNodePolicy(options: NodePolicyOptions): NodePolicy {
  const { agent, maps, policies, cluster, stateDirectory, clock, log } = options;
  const target = createPolicyTarget({ ...maps, policies });
  const endpoints = createLocalEndpoints({
    book: options.book,
    podsCame: (signal) => watchNodeAddressBook(stateDirectory, signal),
    interfaceIndex: options.interfaceIndex,
    clock,
    log,
  });
  const engine = createPolicyEngine({
    ownCluster: {
      name: cluster.name,
      identities: identityRange(cluster.id, cluster.maxConnectedClusters),
    },
    adoptedRows: cidrRowsOf(maps.ipcache),
    firstRuleNumber: lastRuleNumber(policies) + 1,
  });
  const planner = createPolicyPlanner({
    intent: agent.intent,
    endpoints: endpoints.table,
    engine,
    target,
    rows: options.cidrRows,
    rowsApplied: createRowsApplied({
      map: maps.ipcache,
      desired: ipcacheTable(agent),
      clock,
      log,
    }),
    clock,
    log,
  });
  const isOff = options.settings.enforcement === "never";
  if (isOff) target.setMode("off");
  // From here on a pod that comes is closed until it has a policy, or there is none.
  else if (maps.policyNode.get(0)?.mode === 0) target.setMode("closed");
  return {
    endpoints: endpoints.table,
    engine,
    planner,
    tasks: isOff
      ? []
      : [
          { name: "local-endpoints", run: (signal) => endpoints.run(signal) },
          { name: "policy", run: (signal) => planner.run(signal) },
          {
            name: "collect-connections",
            run: (signal) => runCollector({ collect: options.collect, clock, log }, signal),
          },
        ],
    isDecided: (ifindex) =>
      isOff || planner.isReady() || maps.policyState.get({ ifindex }) !== undefined,
    decided: (signal) => (isOff ? Promise.resolve() : planner.ready(signal)),
    problem: () => problemOf(engine, { endpoints: endpoints.table, planner }),
  };
}

/** What an earlier agent has numbered. */
function* cidrRowsOf(ipcache: NodePolicyOptions["maps"]["ipcache"]): Iterable<[string, number]> {
  for (const [key, { identity }] of ipcache.entries()) {
    if (identity >= FIRST_CIDR_NUMBER) yield [prefixFromIpcacheKey(key).text, identity];
  }
}

/** The highest that an entry in force carries. */
function lastRuleNumber(policies: PolicyMaps): number {
  let last = 0;
  for (const ifindex of policies.endpoints()) {
    using map = policies.open(ifindex);
    for (const [, { rule }] of map?.entries() ?? []) last = Math.max(last, rule);
  }
  return last;
}

function ipcacheTable(agent: Pick<Agent, "tables">): Table<IpcacheRow> {
  const found = agent.tables.find(({ desired }) => desired.name === "ipcache");
  if (found === undefined) throw new TypeError("The agent has no ipcache");
  return found.desired as Table<IpcacheRow>;
}

const WORDS: Readonly<Record<string, string>> = {
  "unknown-identity": "the labels of their identity are not known yet",
  "too-many-entries": "their policies need more entries than a map holds",
  "too-many-peers": "their policies name more peers than there is room for",
};

function problemOf(
  engine: PolicyEngine,
  known: { readonly endpoints: Table<LocalEndpoint>; readonly planner: PolicyPlanner },
): string {
  const pods = new Map<string, string[]>();
  for (const [key, { pod }] of known.endpoints.entries()) {
    const closed = engine.stateOf(key)?.closed;
    const why =
      closed === undefined ? (known.planner.enforced.get(key)?.problem ?? "") : WORDS[closed];
    if (why === undefined || why === "") continue;
    const names = pods.get(why) ?? [];
    pods.set(why, names);
    names.push(pod === "" ? key : pod);
  }
  const sentences = [...pods].map(([why, names]) => {
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
    return `${names.slice(0, NAMED).join(", ")}${more} (${why})`;
  });
  return sentences.length === 0 ? "" : `Pods are closed by policy: ${sentences.join("; ")}`;
}

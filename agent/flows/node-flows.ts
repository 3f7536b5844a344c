// The ending of flows on this node, put together from its real parts: the address book that says
// where pods are, the datapath's map of flows, the drains in force.
import type { DatapathMaps } from "../../bpf/datapath.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import type { Agent } from "../agent.ts";
import type { FrontendState } from "../apply/service-state.ts";
import type { AddressBook } from "../cni/address-book.ts";
import { watchNodeAddressBook } from "../cni/node-address-book.ts";
import { createDiagSocket, openDiagSocket } from "./diag-socket.ts";
import { runDrainResets } from "./drain-resets.ts";
import { createFlowReset, type FlowReset } from "./flow-reset.ts";
import { flowRowsFromMap } from "./flow-rows.ts";
import { createNamespaces } from "./namespaces.ts";
import { openNamespaces } from "./open-namespaces.ts";

export interface NodeFlowsOptions {
  readonly book: Pick<AddressBook, "list">;
  /** Where the book is. */
  readonly stateDirectory: string;
  readonly maps: Pick<DatapathMaps, "flows">;
  readonly agent: Pick<Agent, "serviceState" | "services" | "drains">;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NodeFlows {
  readonly reset: FlowReset;
  readonly tasks: readonly Task[];
  /** Why flows of some pods cannot be ended; empty if all can. */
  problem(): string;
}

/** Paths that a sentence of status names; the others are counted. */
const NAMED = 3;

export function createNodeFlows(options: NodeFlowsOptions): NodeFlows {
  const { book, stateDirectory, agent, clock, log } = options;
  const namespaces = createNamespaces({
    book,
    podsCame: (signal) => watchNodeAddressBook(stateDirectory, signal),
    openOwn: () => createDiagSocket(openDiagSocket()),
    open: openNamespaces,
    clock,
    log,
  });
  const reset = createFlowReset({
    namespaces,
    rows: flowRowsFromMap(options.maps.flows),
    known: agent.serviceState,
    serviceIds: (service) => serviceIds(agent, service),
    movable: (clusterId) => movableServices(agent.serviceState().frontends.values(), clusterId),
    clock,
    log,
  });
  const { inForce } = agent.drains;
  const drains = {
    drains: () => new Map(inForce.entries()),
    changes: (signal: AbortSignal) => inForce.changes(signal),
    flowReset: reset,
    clock,
  };
  return {
    reset,
    tasks: [
      { name: "flows", run: (signal) => reset.run(signal) },
      { name: "drained-flows", run: (signal) => runDrainResets(drains, signal) },
    ],
    problem: () => problemOf(namespaces.status().failed),
  };
}

/** The datapath numbers frontends; a service has one a ClusterIP and port. */
function serviceIds(agent: NodeFlowsOptions["agent"], service: string): number[] {
  return [...agent.serviceState().frontends].flatMap(([key, { serviceId }]) =>
    agent.services.desired.get(key)?.service === service ? [serviceId] : [],
  );
}

/** Frontends that a cluster beside this one can serve: flows of the others have nowhere to go. */
export function movableServices(
  frontends: Iterable<Pick<FrontendState, "serviceId" | "groups">>,
  clusterId: ClusterId,
): ReadonlySet<number> {
  const movable = new Set<number>();
  for (const { serviceId, groups } of frontends) {
    const others = groups.filter((group) => group.clusterId !== clusterId);
    if (others.some(({ weight, slots }) => weight > 0 && slots.length > 0)) movable.add(serviceId);
  }
  return movable;
}

/** Pods that failed for the same reason are named together. */
export function problemOf(failed: ReadonlyMap<string, string>): string {
  const byReason = Map.groupBy(failed, ([, reason]) => reason);
  const parts = [...byReason].map(([reason, entries]) => {
    const paths = entries.map(([path]) => (path === "" ? "the node's own" : path));
    const more = paths.length > NAMED ? `, and ${paths.length - NAMED} more` : "";
    return `${paths.slice(0, NAMED).join(", ")}${more} (${reason})`;
  });
  if (parts.length === 0) return "";
  return `Flows cannot be ended in ${failed.size} network namespaces: ${parts.join("; ")}`;
}

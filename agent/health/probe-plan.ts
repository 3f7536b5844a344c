// From nodes and the judge's wishes to what is asked in each round: the plan is made again only
// when one of them changed, a round then is a walk over the plan. Whom to choose is targets.ts'.
import type { EchoRequest } from "./echo-socket.ts";
import type { NodeDirectory } from "./node-directory.ts";
import type { Family, HealthView, NodeView } from "./observation.ts";
import { targetKey, type ProbeRows, type ProbeTarget } from "./probe-rows.ts";
import type { Closeness } from "./attention.ts";
import { isTurnOf, planProbes, turnOfProbe, type ProbeGroup } from "./targets.ts";

export interface ProbePlan {
  /** Makes the targets what nodes, view and closeness ask for; nothing if none of them changed. */
  refresh(
    view: HealthView,
    also: { readonly inDoubt: readonly Omit<NodeView, "cluster">[]; readonly closeness: Closeness },
  ): void;
  /** Requests of the round, by family. */
  requests(round: number): Readonly<Record<Family, readonly EchoRequest[]>>;
}

export interface ProbePlanOptions {
  readonly directory: NodeDirectory;
  readonly rows: ProbeRows;
  readonly intervalMs: number;
  readonly nodesPerCluster: number;
  /** So many targets found no row in the map. */
  readonly onRefused: (count: number) => void;
}

/** Nodes that are asked besides the plan, and how often a round. */
interface Extra {
  readonly key: string;
  readonly probesPerRound: number;
}

/** Of the nodes with backends down from before: so many are asked at once. */
const IN_DOUBT_MAX = 64;

export function createProbePlan(options: ProbePlanOptions): ProbePlan {
  const { directory, rows, intervalMs, nodesPerCluster } = options;
  let planned = "";
  let watched: ReadonlySet<number> | undefined;
  let groups: readonly {
    readonly group: ProbeGroup;
    /** Of the group's nodes, in their order. */
    readonly keys: readonly string[];
  }[] = [];
  let extras: readonly Extra[] = [];

  function plan(
    view: HealthView,
    asked: readonly (NodeView & { probesPerRound: number })[],
    closeness: Closeness,
  ): void {
    const chosen = planProbes(directory.ranked(), {
      intervalMs,
      nodesPerCluster,
      nodesDown: view.nodesDown,
      suspected: suspectedOf(view),
      ...closeness,
    });
    const targets = new Map<string, ProbeTarget>();
    const add = (node: NodeView): string => {
      const key = targetKey(node);
      const address = directory.probeAddress(node);
      if (address !== undefined) targets.set(key, { ...node, address });
      return key;
    };
    groups = chosen.map((group) => ({
      group,
      keys: group.nodes.map((node) =>
        add({ clusterId: group.clusterId, cluster: group.cluster, family: group.family, node }),
      ),
    }));
    const inPlan = new Set(targets.keys());
    extras = asked.map(({ probesPerRound, ...node }) => {
      const key = add(node);
      // What the plan asks anyway is asked that much more often.
      return { key, probesPerRound: inPlan.has(key) ? probesPerRound - 1 : probesPerRound };
    });
    const refused = rows.setTargets([...targets.values()]);
    if (refused > 0) options.onRefused(refused);
  }

  return {
    refresh(view, { inDoubt, closeness }) {
      const doubted = inDoubt.slice(0, IN_DOUBT_MAX).map((node) => ({
        clusterId: node.clusterId,
        cluster: directory.clusterName(node.clusterId) ?? "",
        family: node.family,
        node: node.node,
        probesPerRound: 1,
      }));
      const asked = [...view.probeAlso, ...doubted];
      const now = `${fingerprint(directory.version, view, asked)} ${closeness.isAlert}`;
      if (now === planned && closeness.watched === watched) return;
      planned = now;
      watched = closeness.watched;
      plan(view, asked, closeness);
    },
    requests(round) {
      const found: Record<Family, EchoRequest[]> = { 4: [], 6: [] };
      const ask = (key: string | undefined, count: number): void => {
        for (let i = 0; i < count; i++) {
          const request = key === undefined ? undefined : rows.nextRequest(key);
          if (request !== undefined) found[request.address.includes(":") ? 6 : 4].push(request);
        }
      };
      for (const { group, keys } of groups) {
        const count = keys.length > 0 && isTurnOf(group, round) ? group.probesPerRound : 0;
        for (let i = 0; i < count; i++) ask(keys[turnOfProbe(group, round, i)], 1);
      }
      for (const { key, probesPerRound } of extras) ask(key, probesPerRound);
      return found;
    },
  };
}

/** Clusters that need a second look for their silence. */
function suspectedOf(view: HealthView): ReadonlySet<number> {
  return new Set(
    view.clusters
      .filter(({ state, reason }) => state === "suspect" && reason === "silent")
      .map(({ clusterId }) => clusterId),
  );
}

/** Short in a mesh that is well: a version and nothing else. */
function fingerprint(
  version: number,
  view: HealthView,
  asked: readonly (NodeView & { probesPerRound: number })[],
): string {
  const parts = [String(version)];
  for (const id of suspectedOf(view)) parts.push(`s${id}`);
  for (const node of view.nodesDown) parts.push(`d${targetKey(node)}`);
  for (const node of asked) parts.push(`a${targetKey(node)}*${node.probesPerRound}`);
  return parts.join(" ");
}

// Which nodes this node probes, and which of them in which round. Pure.
//
// Rendezvous hashing: every pair (own node, remote node) has a weight, and the heaviest are
// chosen. So every node chooses without asking anybody, the probes that a cluster receives are
// spread over its nodes, and a node that comes or goes changes one choice and no other.
//
// A node that is down is still probed, so that its return is seen, and the next in rank stands in
// for it. A cluster that is suspect is probed more widely: before it is called down, nodes that
// had no part in the suspicion are asked.
//
// What all of it may cost has a limit. As the mesh grows, the nodes of a cluster are asked in turn;
// then, while all is well, clusters that are not watched (attention.ts) are asked less often:
//
//   all nodes, every round ─► one node, every round ─► one node every fifth round, unless watched
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { Family, NodeView } from "./observation.ts";

export interface ProbeableNode {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly node: string;
  /** The families in which it has an address to probe. */
  readonly families: readonly Family[];
}

/** The nodes of one cluster in one family, heaviest first; no more than a plan can use. */
export interface RankedGroup {
  readonly clusterId: ClusterId;
  readonly cluster: string;
  readonly family: Family;
  readonly nodes: readonly string[];
}

/** What is probed of one cluster in one family. */
export interface ProbeGroup extends RankedGroup {
  /** Probes in a round, shared by the nodes in turn; a single node gets all of them. */
  readonly probesPerRound: number;
  /** It is asked in one of so many rounds; in which of them, from 0. */
  readonly everyRounds: number;
  readonly phase: number;
}

export interface PlanOptions {
  readonly intervalMs: number;
  /** Nodes that are to answer for a cluster. */
  readonly nodesPerCluster?: number;
  /** While nobody is silent. */
  readonly probesPerSecondQuiet?: number;
  /** When somebody is: nobody is asked less often than in every round then. */
  readonly probesPerSecondMax?: number;
  readonly isAlert?: boolean;
  /** Clusters that are asked in every round, however many there are; all if left out. */
  readonly watched?: ReadonlySet<ClusterId>;
  readonly nodesDown?: readonly NodeView[];
  /** Clusters that are suspect for their silence. */
  readonly suspected?: ReadonlySet<ClusterId>;
}

export const NODES_PER_CLUSTER = 3;
/** Of one agent: some 1 % of a core on either side. */
export const PROBES_PER_SECOND_QUIET = 600;
/** For the second or so in which it matters who answers. */
export const PROBES_PER_SECOND_MAX = 5_000;
/** Silence of a cluster that nobody watches begins to count half a second late at most. */
const UNWATCHED_ROUNDS = 5;
/** So many nodes of a group that are down are still asked whether they are back. */
const DOWN_NODES_PROBED = 3;
/** Beyond so many suspected clusters it is not they that need a second look, but we. */
const SUSPECTED_MAX = 16;

/** Ranks what there is for this node. Needed again only when nodes come or go. */
export function rankNodes(
  nodes: Iterable<ProbeableNode>,
  self: { readonly cluster: string; readonly node: string },
  nodesPerCluster: number = NODES_PER_CLUSTER,
): RankedGroup[] {
  const kept = 2 * nodesPerCluster + DOWN_NODES_PROBED;
  const groups = new Map<string, { group: RankedGroup; weighed: Weighed[] }>();
  for (const { clusterId, cluster, node, families } of nodes) {
    if (cluster === self.cluster && node === self.node) continue;
    const weight = rendezvousWeight(`${self.cluster}/${self.node}`, `${cluster}/${node}`);
    for (const family of families) {
      const key = `${clusterId}/${family}`;
      const found = groups.get(key) ?? {
        group: { clusterId, cluster, family, nodes: [] },
        weighed: [],
      };
      found.weighed.push({ node, weight });
      groups.set(key, found);
    }
  }
  return [...groups.values()].map(({ group, weighed }) => ({
    ...group,
    nodes: weighed
      .sort(heaviestFirst)
      .slice(0, kept)
      .map(({ node }) => node),
  }));
}

/** Chooses among the ranked nodes, within the budget. */
export function planProbes(ranked: readonly RankedGroup[], options: PlanOptions): ProbeGroup[] {
  const perCluster = options.nodesPerCluster ?? NODES_PER_CLUSTER;
  const down = new Set((options.nodesDown ?? []).map(keyOfNode));
  const suspected = options.suspected ?? new Set<ClusterId>();
  const looksAgain = (clusterId: ClusterId): boolean =>
    suspected.size <= SUSPECTED_MAX && suspected.has(clusterId);
  const chosen = ranked.map((group) => {
    const wanted = looksAgain(group.clusterId) ? 2 * perCluster : perCluster;
    const nodes = chooseNodes(group, wanted, down);
    return { ...group, nodes, probesPerRound: Math.max(perCluster, nodes.length) };
  });
  const isAlert = options.isAlert ?? false;
  const perSecond = isAlert
    ? (options.probesPerSecondMax ?? PROBES_PER_SECOND_MAX)
    : (options.probesPerSecondQuiet ?? PROBES_PER_SECOND_QUIET);
  const isWatched = ({ clusterId }: RankedGroup): boolean =>
    isAlert || (options.watched?.has(clusterId) ?? true);
  const paces = choosePaces(chosen, {
    perRound: (perSecond * options.intervalMs) / 1_000,
    isWatched,
  });
  return chosen.map((group, i) => {
    const pace = looksAgain(group.clusterId) ? {} : paces(group);
    return { ...group, everyRounds: 1, ...pace, phase: i % UNWATCHED_ROUNDS };
  });
}

/** Whom to ask in one round, a node as often as it is named; rounds count up from anywhere. */
export function probesOfRound(group: ProbeGroup, round: number): string[] {
  const { nodes, probesPerRound } = group;
  const length = nodes.length > 0 && isTurnOf(group, round) ? probesPerRound : 0;
  return Array.from({ length }, (_, index) => nodes[turnOfProbe(group, round, index)] ?? "");
}

/** Whether the group is asked in the round at all. */
export function isTurnOf({ everyRounds, phase }: ProbeGroup, round: number): boolean {
  return (round + phase) % everyRounds === 0;
}

/** Which of the group's nodes the round's probe with this number goes to. */
export function turnOfProbe(group: ProbeGroup, round: number, index: number): number {
  const { nodes, probesPerRound, everyRounds, phase } = group;
  const turn = Math.floor((round + phase) / everyRounds);
  return (turn * probesPerRound + index) % nodes.length;
}

interface Weighed {
  readonly node: string;
  readonly weight: number;
}

function heaviestFirst(a: Weighed, b: Weighed): number {
  return b.weight - a.weight || (a.node < b.node ? -1 : 1);
}

function keyOfNode({ clusterId, family, node }: Omit<NodeView, "cluster">): string {
  return `${clusterId}/${family}/${node}`;
}

/** The heaviest `wanted` nodes that are not down, and those that are down before them. */
function chooseNodes(group: RankedGroup, wanted: number, down: ReadonlySet<string>): string[] {
  const chosen: string[] = [];
  let alive = 0;
  let dead = 0;
  for (const node of group.nodes) {
    if (alive === wanted) break;
    const isDown = down.has(keyOfNode({ ...group, node }));
    if (isDown && dead === DOWN_NODES_PROBED) continue;
    if (isDown) dead += 1;
    else alive += 1;
    chosen.push(node);
  }
  return chosen;
}

type Pace = Pick<ProbeGroup, "probesPerRound" | "everyRounds">;
type Asked = RankedGroup & Pick<ProbeGroup, "probesPerRound">;

/** As many probes for everybody as fit; if not even one fits, for those that are watched. */
function choosePaces(
  groups: readonly Asked[],
  limits: { readonly perRound: number; readonly isWatched: (group: RankedGroup) => boolean },
): (group: Asked) => Pace {
  const { perRound, isWatched } = limits;
  const watched = groups.filter(isWatched);
  const capped = ({ probesPerRound }: Asked, share: number): Pace => ({
    probesPerRound: Math.min(probesPerRound, share),
    everyRounds: 1,
  });
  const everybody = shareOfBudget(groups, perRound);
  if (everybody >= 1 || watched.length === groups.length) {
    return (group) => capped(group, Math.max(1, everybody));
  }
  const unwatched = (groups.length - watched.length) / UNWATCHED_ROUNDS;
  const share = Math.max(1, shareOfBudget(watched, perRound - unwatched));
  return (group) =>
    isWatched(group) ? capped(group, share) : { probesPerRound: 1, everyRounds: UNWATCHED_ROUNDS };
}

/** The most probes a round that every group may have so that all of them fit; 0: not even one. */
function shareOfBudget(groups: readonly Asked[], perRound: number): number {
  let share = groups.reduce((max, group) => Math.max(max, group.probesPerRound), 1);
  const total = (): number =>
    groups.reduce((sum, group) => sum + Math.min(group.probesPerRound, share), 0);
  while (share > 0 && total() > perRound) share -= 1;
  return share;
}

/** FNV-1a over both names, then the finalizer of MurmurHash3, as 32 bits. */
export function rendezvousWeight(own: string, remote: string): number {
  const text = `${own}\n${remote}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

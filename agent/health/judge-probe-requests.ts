// Which nodes the judge wants to hear besides, or more often than, what is planned: those that
// failed connections have named, those that are silent while their cluster answers, and those that
// are down, until they are back. Pure.
import type { JudgeLimits } from "./judge-limits.ts";
import type { Group, Voice } from "./judge-listening.ts";
import type { NodeView, ProbeRequest } from "./observation.ts";

/** The most urgent first, cut to the limit; `accused` has the latest last. */
export function planProbeRequests(
  groups: Iterable<Group>,
  accused: readonly NodeView[],
  limits: JudgeLimits,
): ProbeRequest[] {
  const requests = new Map<string, ProbeRequest>();
  const ask = (node: NodeView, probesPerRound: number): void => {
    const { clusterId, cluster, family, node: name } = node;
    const key = `${clusterId}/${family}/${name}`;
    if (requests.has(key) || requests.size >= limits.probeAlsoMax) return;
    requests.set(key, { clusterId, cluster, family, node: name, probesPerRound });
  };
  const down: NodeView[] = [];
  const silent: NodeView[] = [];
  for (const group of groups) {
    for (const voice of group.voices.values()) {
      if (voice.isDown) down.push(nameOf(voice));
      else if (isDoubtful(voice, limits)) silent.push(nameOf(voice));
    }
  }
  const downKeys = new Set(down.map(keyOfNode));
  for (const node of accused.toReversed()) {
    if (!downKeys.has(keyOfNode(node))) ask(node, limits.probesPerRoundAsked);
  }
  for (const node of silent) ask(node, limits.probesPerRoundAsked);
  for (const node of down) ask(node, 1);
  return [...requests.values()];
}

/** Silent while its cluster answers; more probes tell sooner whether they were only lost. */
function isDoubtful({ heard, silentRounds, group }: Voice, limits: JudgeLimits): boolean {
  if (!heard || silentRounds < limits.suspectRounds) return false;
  return group.isOwn || group.silentRounds === 0;
}

function nameOf({ group: { clusterId, cluster, family }, node }: Voice): NodeView {
  return { clusterId, cluster, family, node };
}

function keyOfNode({ clusterId, family, node }: Omit<NodeView, "cluster">): string {
  return `${clusterId}/${family}/${node}`;
}

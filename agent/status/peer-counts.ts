// How many identities each peer of policies means now, of all that the node knows.
//
// A selector that names a label with its values is tried only against the identities that have one
// of them: one walk finds these for all selectors. Every other peer is tried against everybody.
import type { IdentityNumber, IdentityRange } from "../../mesh/core/identity.ts";
import type { PolicyPeer } from "../../mesh/core/policy.ts";
import { labelsFromTexts, type LabelSelector } from "../../mesh/core/selector.ts";
import { selectorKey } from "../policy/selector-cache.ts";
import { peerMeans, prefixOfNumber, type PeerIdentity } from "./peer-members.ts";
import { peerText } from "./policy-words.ts";
import type { Turns } from "./turns.ts";

/** One that the node knows. */
export interface CountedIdentity {
  readonly number: IdentityNumber;
  readonly labels: readonly string[];
  /** "" for all but this node's own numbers. */
  readonly prefix: string;
}

export interface PeerCountOptions {
  readonly identities: Iterable<CountedIdentity>;
  readonly ownRange: IdentityRange;
  readonly turns: Turns;
}

interface Wanted {
  readonly peer: PolicyPeer;
  count: number;
}

/** By `peerKey()`. */
export async function countPeers(
  peers: Iterable<PolicyPeer>,
  { identities, ownRange, turns }: PeerCountOptions,
): Promise<ReadonlyMap<string, number>> {
  const wanted = new Map<string, Wanted>();
  /** Label → whoever asks for it. */
  const byLabel = new Map<string, Wanted[]>();
  const others: Wanted[] = [];
  for (const peer of peers) {
    const key = peerKey(peer);
    if (wanted.has(key)) continue;
    const added = { peer, count: 0 };
    wanted.set(key, added);
    const labels = peer.kind === "pods" ? labelsOf(peer.selector) : undefined;
    if (labels === undefined) others.push(added);
    for (const label of labels ?? []) {
      byLabel.set(label, [...(byLabel.get(label) ?? []), added]);
    }
  }
  for (const identity of identities) {
    const tried = new Set(others);
    for (const label of identity.labels) for (const one of byLabel.get(label) ?? []) tried.add(one);
    if (tried.size === 0) {
      await turns.after(1);
      continue;
    }
    const who = peerIdentityOf(identity);
    for (const one of tried) if (peerMeans(one.peer, who, ownRange)) one.count++;
    await turns.after(1 + tried.size);
  }
  return new Map([...wanted].map(([key, { count }]) => [key, count]));
}

/** The same for equal peers. */
export function peerKey(peer: PolicyPeer): string {
  return peer.kind === "pods" ? `pods ${selectorKey(peer.selector)}` : peerText(peer);
}

export function peerIdentityOf({ number, labels, prefix }: CountedIdentity): PeerIdentity {
  return {
    number,
    labels: labelsFromTexts(labels),
    prefix: prefixOfNumber(number, prefix),
  };
}

/** Of what it asks for the label with the fewest values; none of the cluster, which many share. */
function labelsOf(selector: LabelSelector): readonly string[] | undefined {
  const named = selector
    .filter(({ key, operator }) => operator === "In" && !key.startsWith("any:"))
    .map(({ key, values }) => ({
      labels: values.map((value) => `${key}=${value}`),
      isShared: key.startsWith("k8s:io.cilium.") || key.startsWith("k8s:io.kubernetes."),
    }))
    .sort((a, b) => Number(a.isShared) - Number(b.isShared) || a.labels.length - b.labels.length);
  return named[0]?.labels;
}

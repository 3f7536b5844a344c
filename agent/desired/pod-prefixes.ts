// Which addresses are pods' of which node, known or not: a prefix that a policy names inside of
// them must not take their way, or their name, from pods that are not known yet.
import { parsePrefix } from "../../mesh/core/address.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { createPrefixTrie } from "../policy/prefix-trie.ts";

/** A node's pod prefix. */
export interface PodPrefix {
  /** Canonical `address/length`. */
  readonly prefix: string;
  /** Canonical address of the node; "" for our own. */
  readonly tunnelEndpoint: string;
  readonly clusterId: ClusterId;
}

export interface PodPrefixes {
  /** Replaces what a node has; whether that is anything else than before. */
  set(node: string, prefixes: readonly PodPrefix[]): boolean;
  /** Forgets the nodes whose names begin like this; whether there was one. */
  forget(start: string): boolean;
  /** The narrowest that holds this one. */
  coverOf(prefix: string): PodPrefix | undefined;
}

export function createPodPrefixes(): PodPrefixes {
  const byNode = new Map<string, readonly PodPrefix[]>();
  /** Several nodes may say that they have a prefix; the first stays until it goes. */
  const trie = createPrefixTrie<PodPrefix>();

  function add(prefixes: readonly PodPrefix[]): void {
    for (const one of prefixes) {
      const key = parsePrefix(one.prefix);
      if (trie.get(key) === undefined) trie.set(key, one);
    }
  }

  function remove(node: string): void {
    for (const one of byNode.get(node) ?? []) {
      const key = parsePrefix(one.prefix);
      if (trie.get(key) === one) trie.delete(key);
    }
    byNode.delete(node);
  }

  return {
    set(node, prefixes) {
      if (same(byNode.get(node) ?? [], prefixes)) return false;
      remove(node);
      if (prefixes.length > 0) byNode.set(node, prefixes);
      add(prefixes);
      return true;
    },
    forget(start) {
      const gone = [...byNode.keys()].filter((node) => node.startsWith(start));
      for (const node of gone) remove(node);
      return gone.length > 0;
    },
    coverOf(prefix) {
      let narrowest: PodPrefix | undefined;
      for (const one of trie.covering(parsePrefix(prefix))) narrowest = one;
      return narrowest;
    },
  };
}

function same(a: readonly PodPrefix[], b: readonly PodPrefix[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i];
      return (
        one.prefix === other?.prefix &&
        one.tunnelEndpoint === other.tunnelEndpoint &&
        one.clusterId === other.clusterId
      );
    })
  );
}

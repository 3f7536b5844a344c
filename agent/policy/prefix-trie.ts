// Values by address prefix, to be asked which prefixes lie within one and which hold one: a binary
// trie of each family, in which a node stands only where a value is or two paths part.
import { parsePrefix, type Prefix } from "../../mesh/core/address.ts";

export interface PrefixTrie<T> {
  get(prefix: Prefix): T | undefined;
  set(prefix: Prefix, value: T): void;
  delete(prefix: Prefix): void;
  /** Values of this prefix and of all that lie in it. */
  within(prefix: Prefix): Iterable<T>;
  /** Values of this prefix and of all that hold it, the widest first. */
  covering(prefix: Prefix): Iterable<T>;
}

interface Node<T> {
  /** At least `length` bits of the prefix; what is behind them means nothing. */
  readonly bytes: Uint8Array;
  readonly length: number;
  value: T | undefined;
  zero: Node<T> | undefined;
  one: Node<T> | undefined;
}

export function createPrefixTrie<T extends object>(): PrefixTrie<T> {
  const roots = { 4: node<T>(parsePrefix("0.0.0.0/0")), 6: node<T>(parsePrefix("::/0")) };

  /** Nodes from the root to the last one that holds the prefix. */
  function* path(prefix: Prefix): Generator<Node<T>> {
    let at: Node<T> | undefined = roots[prefix.family];
    while (at !== undefined && holds(at, prefix)) {
      yield at;
      at = at.length < prefix.length ? childOf(at, prefix.bytes) : undefined;
    }
  }

  function last(prefix: Prefix): Node<T> {
    let found = roots[prefix.family];
    for (const passed of path(prefix)) found = passed;
    return found;
  }

  return {
    get(prefix) {
      const found = last(prefix);
      return found.length === prefix.length ? found.value : undefined;
    },
    set(prefix, value) {
      const parent = last(prefix);
      if (parent.length === prefix.length) parent.value = value;
      else hang(parent, { ...node<T>(prefix), value });
    },
    delete(prefix) {
      const passed = [...path(prefix)];
      const found = passed.pop();
      if (found?.length !== prefix.length) return;
      found.value = undefined;
      // The node goes unless two paths part there, and then perhaps the one above it.
      for (let gone: Node<T> | undefined = found; gone !== undefined && gone.length > 0;) {
        if (gone.value !== undefined || (gone.zero !== undefined && gone.one !== undefined)) break;
        const parent = passed.pop();
        if (parent === undefined) break;
        setChild(parent, { at: gone.bytes, child: gone.zero ?? gone.one });
        gone = parent;
      }
    },
    *within(prefix) {
      const found = last(prefix);
      const below = found.length < prefix.length ? childOf(found, prefix.bytes) : found;
      if (below === undefined || sharedBits(below, prefix) < prefix.length) return;
      yield* valuesBelow(below);
    },
    *covering(prefix) {
      for (const { value } of path(prefix)) if (value !== undefined) yield value;
    },
  };
}

function node<T>({ bytes, length }: { bytes: Uint8Array; length: number }): Node<T> {
  return { bytes, length, value: undefined, zero: undefined, one: undefined };
}

/** Below `parent`, which holds it; a child in the way goes beside or under it. */
function hang<T>(parent: Node<T>, added: Node<T>): void {
  const sibling = childOf(parent, added.bytes);
  if (sibling === undefined) {
    setChild(parent, { at: added.bytes, child: added });
    return;
  }
  const length = sharedBits(sibling, added);
  const fork = length === added.length ? added : node<T>({ bytes: added.bytes, length });
  setChild(fork, { at: sibling.bytes, child: sibling });
  if (fork !== added) setChild(fork, { at: added.bytes, child: added });
  setChild(parent, { at: added.bytes, child: fork });
}

function* valuesBelow<T>(top: Node<T>): Generator<T> {
  const open = [top];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at.value !== undefined) yield at.value;
    if (at.one !== undefined) open.push(at.one);
    if (at.zero !== undefined) open.push(at.zero);
  }
}

function childOf<T>(parent: Node<T>, bytes: Uint8Array): Node<T> | undefined {
  return bitAt(bytes, parent.length) === 0 ? parent.zero : parent.one;
}

function setChild<T>(
  parent: Node<T>,
  { at, child }: { readonly at: Uint8Array; readonly child: Node<T> | undefined },
): void {
  if (bitAt(at, parent.length) === 0) parent.zero = child;
  else parent.one = child;
}

function holds<T>(outer: Node<T>, inner: Prefix): boolean {
  return outer.length <= inner.length && sharedBits(outer, inner) === outer.length;
}

/** How many leading bits are the same, of those that mean something in both. */
function sharedBits(
  a: { readonly bytes: Uint8Array; readonly length: number },
  b: { readonly bytes: Uint8Array; readonly length: number },
): number {
  const limit = Math.min(a.length, b.length);
  for (let i = 0; i * 8 < limit; i++) {
    const difference = (a.bytes[i] ?? 0) ^ (b.bytes[i] ?? 0);
    if (difference !== 0) return Math.min(limit, i * 8 + Math.clz32(difference) - 24);
  }
  return limit;
}

function bitAt(bytes: Uint8Array, index: number): number {
  return ((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1;
}

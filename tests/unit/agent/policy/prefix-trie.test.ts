import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { createPrefixTrie } from "../../../../agent/policy/prefix-trie.ts";
import {
  addressFromBytes,
  prefixFromAddress,
  prefixesOverlap,
  type Prefix,
} from "../../../../mesh/core/address.ts";

/** Few bits that differ, at both ends and in the middle of bytes, so that paths often meet. */
const prefix: fc.Arbitrary<Prefix> = fc
  .tuple(
    fc.constantFrom(4, 16),
    fc.array(fc.constantFrom(0, 1, 0x10, 0x80, 0xff), { minLength: 16, maxLength: 16 }),
    fc.nat(128),
  )
  .map(([size, bytes, length]) =>
    prefixFromAddress(
      addressFromBytes(Uint8Array.from(bytes.slice(0, size))),
      Math.min(length, size * 8),
    ),
  );
const step = fc.record({ prefix, isPut: fc.boolean() });

test("answers as a list of all prefixes would", () => {
  const steps = fc.array(step, { maxLength: 40 });
  fc.assert(
    fc.property(steps, fc.array(prefix, { maxLength: 8 }), (changes, others) => {
      const trie = createPrefixTrie<Prefix>();
      const list = new Map<string, Prefix>();
      const asked = [...changes.map((change) => change.prefix), ...others];
      for (const change of changes) {
        // Half of what is deleted has been there.
        const { text } = change.prefix;
        if (change.isPut) {
          trie.set(change.prefix, change.prefix);
          list.set(text, change.prefix);
        } else {
          trie.delete(change.prefix);
          list.delete(text);
        }
      }
      for (const one of asked) {
        const related = [...list.values()].filter((other) => prefixesOverlap(one, other));
        const within = related.filter(({ length }) => length >= one.length);
        const covering = related.filter(({ length }) => length <= one.length);
        expect(trie.get(one)?.text).toBe(list.get(one.text)?.text);
        expect(textsOf(trie.within(one)).sort()).toEqual(textsOf(within).sort());
        const widestFirst = covering.sort((a, b) => a.length - b.length);
        expect(textsOf(trie.covering(one))).toEqual(textsOf(widestFirst));
      }
    }),
    { numRuns: 300 },
  );
});

function textsOf(prefixes: Iterable<Prefix>): string[] {
  return [...prefixes].map(({ text }) => text);
}

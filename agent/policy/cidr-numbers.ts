// Prefixes that policies in force name → numbers of this node's own, by which the datapath knows
// addresses outside the mesh, and the rows that tell it so. 0.0.0.0/0 and ::/0 are the reserved
// world-ipv4 and world-ipv6: an address without a row is theirs.
//
//   named ──► row wanted ──(take)──► row put ──no longer named──► row deleted (take)
//                                                                      │ entries still name it
//                                                      number gone ◄── next take
//
// A packet may carry a number for as long as its row may be in the kernel, so a number outlives its
// row by one take(): in between the caller has applied what the first one said.
//
// The rows' trie holds IPv4 as ::ffff:0:0/96. An IPv6 prefix that covers that block would swallow
// every IPv4 address without a row; while there is one, 0.0.0.0/0 has a row too.
import {
  parseAddress,
  parsePrefix,
  prefixesOverlap,
  prefixFromAddress,
  type Prefix,
} from "../../mesh/core/address.ts";
import { RESERVED_IDENTITY, type IdentityNumber } from "../../mesh/core/identity.ts";
import { FIRST_CIDR_NUMBER, LAST_CIDR_NUMBER } from "./entry.ts";
import { createPrefixTrie } from "./prefix-trie.ts";

export interface CidrRow {
  /** Canonical `address/length`. */
  readonly prefix: string;
  readonly identity: IdentityNumber;
}

export interface NumberedPrefix {
  readonly prefix: Prefix;
  readonly number: IdentityNumber;
}

export interface RowChanges {
  /** Shields come first: none of these rows swallows what another family has. */
  readonly put: readonly CidrRow[];
  /** Shields go last. */
  readonly deleted: readonly CidrRow[];
}

export interface CidrNumbers {
  /** Gives the prefix a number, or counts one more use of it. */
  acquire(prefix: Prefix): void;
  release(prefix: Prefix): void;
  /** Everything that has a number and lies in the prefix, the reserved ones included. */
  within(prefix: Prefix): Iterable<NumberedPrefix>;
  /** By which an address without a row of the mesh's own is known. */
  numberOfAddress(address: string): IdentityNumber;
  /** Forgets the numbers whose rows the last `takeRows()` deleted, unless they are named again. */
  retire(): void;
  /** Rows to be written since the last call. All that were adopted are put, once, before any goes. */
  takeRows(): RowChanges;
  /** All rows that are wanted, as of the last `takeRows()`. */
  rows(): readonly CidrRow[];
  /** Whether a prefix is named whose row has not been put. */
  readonly isNew: boolean;
  /** Whether a row waits to be deleted, or a number to be forgotten. */
  readonly isResting: boolean;
}

export interface CidrNumbersOptions {
  /** Rows that an earlier agent has left: what is still named keeps its number. */
  readonly adopted: Iterable<readonly [prefix: string, number: IdentityNumber]>;
  /** A number has come to be, or has gone. Not for those adopted. */
  readonly onChange: (numbered: NumberedPrefix, what: "came" | "went") => void;
}

interface Named extends NumberedPrefix {
  uses: number;
  /** Whether the kernel has it, as far as this was told. */
  hasRow: boolean;
  /** Whether the caller was told to put it: of what was adopted he knows nothing yet. */
  isPut: boolean;
}

const EVERY_IPV4 = parsePrefix("0.0.0.0/0");
const EVERY_IPV6 = parsePrefix("::/0");
const MAPPED_IPV4 = parsePrefix("::ffff:0.0.0.0/96");
const SHIELD: CidrRow = {
  prefix: EVERY_IPV4.text,
  identity: RESERVED_IDENTITY["world-ipv4"],
};

export function createCidrNumbers(options: CidrNumbersOptions): CidrNumbers {
  const trie = createPrefixTrie<Named>();
  const named = new Map<string, Named>();
  const taken = new Set<IdentityNumber>();
  /** Texts of prefixes whose row may have to be written. */
  const touched = new Set<string>();
  /** Texts of prefixes without a row that nobody names. */
  const leaving = new Set<string>();
  let next = FIRST_CIDR_NUMBER;
  /** Rows in the kernel that cover the IPv4 block. */
  let covering = 0;
  let isShielded = false;
  let isShieldPut = false;

  reserve(EVERY_IPV4, RESERVED_IDENTITY["world-ipv4"]);
  reserve(EVERY_IPV6, RESERVED_IDENTITY["world-ipv6"]);
  for (const [text, number] of options.adopted) adopt(text, number);

  function reserve(prefix: Prefix, number: IdentityNumber): void {
    trie.set(prefix, { prefix, number, uses: 1, hasRow: false, isPut: false });
  }

  function adopt(text: string, number: IdentityNumber): void {
    if (text === SHIELD.prefix) {
      isShielded = true;
      return;
    }
    const prefix = parsePrefix(text);
    const free = !taken.has(number) && number >= FIRST_CIDR_NUMBER && number <= LAST_CIDR_NUMBER;
    if (!isNumbered(prefix) || !free) return;
    keep({ prefix, number, uses: 0, hasRow: true, isPut: false });
    if (coversIpv4(prefix)) covering++;
    touched.add(text);
  }

  function keep(added: Named): void {
    named.set(added.prefix.text, added);
    taken.add(added.number);
    trie.set(added.prefix, added);
  }

  /** A number rests until all others have had their turn: nothing that is still read means it. */
  function takeNumber(): IdentityNumber {
    while (taken.has(next)) step();
    const number = next;
    step();
    return number;
  }

  function step(): void {
    next = next === LAST_CIDR_NUMBER ? FIRST_CIDR_NUMBER : next + 1;
  }

  function forget(gone: Named): void {
    named.delete(gone.prefix.text);
    taken.delete(gone.number);
    trie.delete(gone.prefix);
    options.onChange(gone, "went");
  }

  return {
    acquire(prefix) {
      if (!isNumbered(prefix)) return;
      const known = named.get(prefix.text);
      touched.add(prefix.text);
      if (known !== undefined) {
        known.uses++;
        return;
      }
      const added = { prefix, number: takeNumber(), uses: 1, hasRow: false, isPut: false };
      keep(added);
      options.onChange(added, "came");
    },
    release({ text }) {
      const known = named.get(text);
      if (known === undefined) return;
      known.uses--;
      touched.add(text);
    },
    within: (prefix) => trie.within(prefix),
    numberOfAddress(text) {
      const address = parseAddress(text);
      let found: IdentityNumber = RESERVED_IDENTITY.unknown;
      const whole = prefixFromAddress(address, address.bytes.length * 8);
      for (const { number, uses } of trie.covering(whole)) if (uses > 0) found = number;
      return found;
    },
    retire() {
      for (const text of leaving) {
        const left = named.get(text);
        if (left?.uses === 0 && !left.hasRow) forget(left);
      }
      leaving.clear();
    },
    takeRows() {
      const put: CidrRow[] = [];
      const deleted: CidrRow[] = [];
      const looked = [...touched];
      touched.clear();
      for (const text of looked) {
        const row = named.get(text);
        if (row === undefined) continue;
        const isWanted = row.uses > 0;
        if (!row.isPut && (isWanted || row.hasRow)) {
          put.push({ prefix: text, identity: row.number });
          if (!row.hasRow && coversIpv4(row.prefix)) covering++;
          row.hasRow = row.isPut = true;
          // One that was adopted and is not wanted goes the way of all others from here.
          if (!isWanted) touched.add(text);
        } else if (!isWanted) {
          if (row.hasRow) deleted.push({ prefix: text, identity: row.number });
          if (row.hasRow && coversIpv4(row.prefix)) covering--;
          row.hasRow = row.isPut = false;
          leaving.add(text);
        }
      }
      const wanted = covering > 0;
      if (wanted && !isShieldPut) put.unshift(SHIELD);
      if (!wanted && isShielded) deleted.push(SHIELD);
      isShielded = wanted;
      isShieldPut = wanted;
      return { put, deleted };
    },
    rows() {
      const rows = [...named.values()].filter(({ hasRow }) => hasRow);
      const shields = isShielded ? [SHIELD] : [];
      return [
        ...shields,
        ...rows.map(({ prefix, number }) => ({ prefix: prefix.text, identity: number })),
      ];
    },
    get isNew() {
      return [...touched].some((text) => {
        const row = named.get(text);
        return row !== undefined && row.uses > 0 && !row.hasRow;
      });
    },
    get isResting() {
      return leaving.size > 0 || touched.size > 0;
    },
  };
}

/** The reserved ones have their numbers; IPv6 that stands for IPv4 is on no wire. */
function isNumbered(prefix: Prefix): boolean {
  return prefix.length > 0 && !(prefix.length >= 96 && prefixesOverlap(prefix, MAPPED_IPV4));
}

function coversIpv4(prefix: Prefix): boolean {
  return prefix.length < 96 && prefixesOverlap(prefix, MAPPED_IPV4);
}

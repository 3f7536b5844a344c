// Which numbers each CIDR of a rule means: those whose prefix lies in it and in no exception. Every
// prefix that a rule names, exceptions too, has a number of its own, so no number lies half in it.
import { parsePrefix, prefixesOverlap, type Prefix } from "../../mesh/core/address.ts";
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { CidrNumbers, NumberedPrefix } from "./cidr-numbers.ts";
import { createPrefixTrie } from "./prefix-trie.ts";

export interface CidrSet {
  readonly key: string;
  readonly members: ReadonlySet<IdentityNumber>;
}

export interface CidrSets {
  acquire(cidr: string, except: readonly string[]): CidrSet;
  release(set: CidrSet): void;
  /** To be told of every number that comes or goes. */
  follow(numbered: NumberedPrefix, what: "came" | "went"): void;
}

export interface CidrSetsOptions {
  readonly numbers: Pick<CidrNumbers, "acquire" | "release" | "within">;
  readonly onChange: (set: CidrSet, number: IdentityNumber) => void;
}

interface Kept extends CidrSet {
  readonly cidr: Prefix;
  readonly except: readonly Prefix[];
  readonly members: Set<IdentityNumber>;
  uses: number;
}

export function createCidrSets({ numbers, onChange }: CidrSetsOptions): CidrSets {
  const sets = new Map<string, Kept>();
  const byCidr = createPrefixTrie<Set<Kept>>();

  function add(key: string, { cidr, except }: Pick<Kept, "cidr" | "except">): Kept {
    for (const prefix of [cidr, ...except]) numbers.acquire(prefix);
    const kept: Kept = { key, cidr, except, members: new Set(), uses: 0 };
    for (const numbered of numbers.within(cidr)) {
      if (isMeant(kept, numbered)) kept.members.add(numbered.number);
    }
    sets.set(key, kept);
    const beside = byCidr.get(cidr);
    if (beside === undefined) byCidr.set(cidr, new Set([kept]));
    else beside.add(kept);
    return kept;
  }

  function remove(kept: Kept): void {
    sets.delete(kept.key);
    const beside = byCidr.get(kept.cidr);
    beside?.delete(kept);
    if (beside?.size === 0) byCidr.delete(kept.cidr);
    for (const prefix of [kept.cidr, ...kept.except]) numbers.release(prefix);
  }

  return {
    acquire(cidr, except) {
      const key = cidrKey(cidr, except);
      const kept =
        sets.get(key) ??
        add(key, { cidr: parsePrefix(cidr), except: except.map((text) => parsePrefix(text)) });
      kept.uses++;
      return kept;
    },
    release({ key }) {
      const kept = sets.get(key);
      if (kept !== undefined && --kept.uses === 0) remove(kept);
    },
    follow(numbered, what) {
      for (const beside of byCidr.covering(numbered.prefix)) {
        for (const kept of beside) {
          if (!isMeant(kept, numbered)) continue;
          if (what === "came") kept.members.add(numbered.number);
          else kept.members.delete(numbered.number);
          onChange(kept, numbered.number);
        }
      }
    },
  };
}

/** `10.0.0.0/8 - 10.1.0.0/16`: the same for the same meaning. */
export function cidrKey(cidr: string, except: readonly string[]): string {
  return [cidr, ...[...new Set(except)].sort()].join(" - ");
}

/** The prefix is known to lie in the CIDR. */
function isMeant({ except }: Kept, { prefix }: NumberedPrefix): boolean {
  return !except.some(
    (excepted) => excepted.length <= prefix.length && prefixesOverlap(excepted, prefix),
  );
}

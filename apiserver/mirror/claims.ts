// Who may speak for which addresses (DESIGN.md, "Identities, addresses, trust"). Every address
// that we accept from a peer is held by a claim of that peer, and two owners' claims never
// overlap; our own hold first. A check looks once into a map for every prefix length that is in
// use, so its cost does not grow with the mesh.
//
// Two structures a family, both by length and masked address:
//   held    the claims themselves
//   inside  for every length shorter than a full address at which a claim exists: how many longer
//           claims of each owner lie inside the prefix

export interface ClaimConflict {
  /** The claim that was refused. */
  readonly prefix: string;
  /** Who holds the address, or part of the prefix. */
  readonly owner: string;
}

export interface Claims {
  /**
   * Claims all of `prefixes` (`address` or `address/length`, canonical) for `owner`, or none and
   * returns why. An owner may claim a prefix several times and releases it as often.
   */
  take(owner: string, prefixes: readonly string[]): ClaimConflict | undefined;
  release(owner: string, prefixes: readonly string[]): void;
  /** Claims without asking: what is our own is ours, also when a peer has spoken for it before. */
  seize(owner: string, prefixes: readonly string[]): void;
  /** Whether somebody other than `owner` holds part of the prefix. */
  conflict(owner: string, prefix: string): ClaimConflict | undefined;
  /** Grows with every release: what was refused may be possible now. */
  readonly releases: number;
  /** Grows with every seizure: what was accepted may stand against our own. */
  readonly seizures: number;
  readonly size: number;
}

/** Counts by owner. Nearly always there is one, so it stands without a map. */
interface Holders {
  owner: string;
  count: number;
  others: Map<string, number> | undefined;
}

type ByAddress = Map<string | number, Holders>;

interface Family {
  readonly bits: number;
  readonly held: Map<number, ByAddress>;
  readonly inside: Map<number, ByAddress>;
}

interface Parsed {
  readonly family: Family;
  readonly words: readonly number[];
  readonly length: number;
}

export function createClaims(): Claims {
  const families = {
    4: { bits: 32, held: new Map(), inside: new Map() } as Family,
    6: { bits: 128, held: new Map(), inside: new Map() } as Family,
  };
  let releases = 0;
  let seizures = 0;
  let size = 0;

  const parse = (prefix: string): Parsed => {
    const slash = prefix.indexOf("/");
    const address = slash < 0 ? prefix : prefix.slice(0, slash);
    const family = address.includes(":") ? families[6] : families[4];
    const words = family === families[6] ? ipv6Words(address) : [ipv4Word(address)];
    return { family, words, length: slash < 0 ? family.bits : Number(prefix.slice(slash + 1)) };
  };

  function conflict(owner: string, prefix: string): ClaimConflict | undefined {
    const { family, words, length } = parse(prefix);
    for (const [heldLength, held] of family.held) {
      if (heldLength > length) continue;
      const other = otherThan(held.get(maskedKey(words, heldLength)), owner);
      if (other !== undefined) return { prefix, owner: other };
    }
    if (length === family.bits) return undefined;
    const other = otherThan(insideAt(family, length).get(maskedKey(words, length)), owner);
    return other === undefined ? undefined : { prefix, owner: other };
  }

  function add(owner: string, prefix: string): void {
    const { family, words, length } = parse(prefix);
    if (length < family.bits) insideAt(family, length);
    let held = family.held.get(length);
    if (held === undefined) family.held.set(length, (held = new Map()));
    if (!count(held, maskedKey(words, length), { owner, by: 1 })) return;
    size++;
    for (const [outer, inside] of family.inside) {
      if (outer < length) count(inside, maskedKey(words, outer), { owner, by: 1 });
    }
  }

  function remove(owner: string, prefix: string): void {
    const { family, words, length } = parse(prefix);
    const held = family.held.get(length);
    if (held === undefined || !count(held, maskedKey(words, length), { owner, by: -1 })) return;
    size--;
    if (held.size === 0) family.held.delete(length);
    for (const [outer, inside] of family.inside) {
      if (outer < length) count(inside, maskedKey(words, outer), { owner, by: -1 });
    }
  }

  return {
    take(owner, prefixes) {
      for (const prefix of prefixes) {
        const found = conflict(owner, prefix);
        if (found !== undefined) return found;
      }
      for (const prefix of prefixes) add(owner, prefix);
      return undefined;
    },
    release(owner, prefixes) {
      if (prefixes.length > 0) releases++;
      for (const prefix of prefixes) remove(owner, prefix);
    },
    seize(owner, prefixes) {
      if (prefixes.length > 0) seizures++;
      for (const prefix of prefixes) add(owner, prefix);
    },
    conflict,
    get releases() {
      return releases;
    },
    get seizures() {
      return seizures;
    },
    get size() {
      return size;
    },
  };
}

/** Lengths in use are few (one or two a mesh), so a new one may cost a pass over the claims. */
function insideAt(family: Family, length: number): ByAddress {
  const known = family.inside.get(length);
  if (known !== undefined) return known;
  const inside: ByAddress = new Map();
  for (const [heldLength, held] of family.held) {
    if (heldLength <= length) continue;
    for (const [key, holders] of held) {
      const outer = maskedKey(wordsFromKey(key), length);
      for (const owner of owners(holders)) count(inside, outer, { owner, by: 1 });
    }
  }
  family.inside.set(length, inside);
  return inside;
}

/** Returns whether the owner came or went. */
function count(map: ByAddress, key: string | number, change: { owner: string; by: 1 | -1 }) {
  const { owner, by } = change;
  const holders = map.get(key);
  if (holders === undefined) {
    if (by < 0) return false;
    map.set(key, { owner, count: 1, others: undefined });
    return true;
  }
  if (holders.owner === owner) {
    holders.count += by;
    if (holders.count > 0) return false;
    promoteNext(map, key, holders);
    return true;
  }
  holders.others ??= new Map();
  const before = holders.others.get(owner) ?? 0;
  if (before + by > 0) holders.others.set(owner, before + by);
  else holders.others.delete(owner);
  return (before === 0 && by > 0) || (before === 1 && by < 0);
}

function promoteNext(map: ByAddress, key: string | number, holders: Holders): void {
  for (const [owner, number] of holders.others ?? []) {
    holders.owner = owner;
    holders.count = number;
    holders.others?.delete(owner);
    return;
  }
  map.delete(key);
}

function otherThan(holders: Holders | undefined, owner: string): string | undefined {
  if (holders === undefined) return undefined;
  if (holders.owner !== owner) return holders.owner;
  for (const other of holders.others?.keys() ?? []) return other;
  return undefined;
}

function* owners(holders: Holders): Generator<string> {
  yield holders.owner;
  yield* holders.others?.keys() ?? [];
}

/** IPv4: the masked number. IPv6: the masked words as text. */
function maskedKey(words: readonly number[], length: number): string | number {
  const [first = 0] = words;
  if (words.length === 1) return maskWord(first, length);
  return words.map((word, index) => maskWord(word, length - index * 32)).join(" ");
}

function wordsFromKey(key: string | number): number[] {
  return typeof key === "number" ? [key] : key.split(" ").map(Number);
}

function maskWord(word: number, bits: number): number {
  if (bits >= 32) return word;
  return bits <= 0 ? 0 : (word & (0xffff_ffff << (32 - bits))) >>> 0;
}

/** Of canonical text, which the records' parsers have made sure of; parsed again for speed. */
function ipv4Word(text: string): number {
  let word = 0;
  let octet = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      word = word * 256 + octet;
      octet = 0;
    } else {
      octet = octet * 10 + code - 48;
    }
  }
  return word * 256 + octet;
}

function ipv6Words(text: string): number[] {
  const [left = "", right] = text.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  const all = [...head, ...zeros, ...tail];
  return [0, 2, 4, 6].map((i) => ((all[i] ?? 0) * 65_536 + (all[i + 1] ?? 0)) >>> 0);
}

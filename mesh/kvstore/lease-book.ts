// Which key is attached to which lease, and which keys were lost with theirs. Pure bookkeeping;
// asking etcd is leases.ts's part.
//
// Two classes of keys never share a lease: data, and the keys that vouch for data (canaries and
// the heartbeat). The latter live shorter, see leases.ts.
import { HEARTBEAT_KEY, SYNCED_PREFIX } from "./keys.ts";

/** Cilium's bound (reference §1.10): the end of one lease deletes no more than this at once. */
export const LEASE_MAX_KEYS = 1_000;

export const LEASE_CLASSES = ["data", "vouching"] as const;
export type LeaseClass = (typeof LEASE_CLASSES)[number];

/** `vouching` keys say of other keys that they are there. */
export function leaseClassOf(key: string): LeaseClass {
  return key === HEARTBEAT_KEY || key.startsWith(SYNCED_PREFIX) ? "vouching" : "data";
}

export interface BookedLease {
  readonly id: string;
  readonly leaseClass: LeaseClass;
  readonly keys: ReadonlySet<string>;
}

interface OpenLease extends BookedLease {
  readonly keys: Set<string>;
}

export class LeaseBook {
  readonly #leases = new Map<string, OpenLease>();
  readonly #leaseOfKey = new Map<string, OpenLease>();
  readonly #lost = new Set<string>();
  readonly #roomy = { data: new Set<OpenLease>(), vouching: new Set<OpenLease>() };

  get leases(): IterableIterator<BookedLease> {
    return this.#leases.values();
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Lost and not booked or forgotten since. */
  get lost(): ReadonlySet<string> {
    return this.#lost;
  }

  lostDataCount(): number {
    let count = 0;
    for (const key of this.#lost) if (leaseClassOf(key) === "data") count++;
    return count;
  }

  add(id: string, leaseClass: LeaseClass): void {
    const lease = { id, leaseClass, keys: new Set<string>() };
    this.#leases.set(id, lease);
    this.#roomy[leaseClass].add(lease);
  }

  /** The lease that the key is to be written with, or undefined when one must be granted first. */
  book(key: string): string | undefined {
    const present = this.#leaseOfKey.get(key);
    if (present !== undefined) return present.id;
    const roomy = this.#roomy[leaseClassOf(key)];
    const [lease] = roomy;
    if (lease === undefined) return undefined;
    lease.keys.add(key);
    this.#leaseOfKey.set(key, lease);
    if (lease.keys.size >= LEASE_MAX_KEYS) roomy.delete(lease);
    return lease.id;
  }

  /** How many more keys of the class can be booked. */
  room(leaseClass: LeaseClass): number {
    let room = 0;
    for (const { keys } of this.#roomy[leaseClass]) room += LEASE_MAX_KEYS - keys.size;
    return room;
  }

  countWithoutLease(keys: Iterable<string>, leaseClass: LeaseClass): number {
    let count = 0;
    for (const key of keys)
      if (!this.#leaseOfKey.has(key) && leaseClassOf(key) === leaseClass) count++;
    return count;
  }

  /** The key has been written under its booking. */
  written(key: string): void {
    this.#lost.delete(key);
  }

  /** The key is gone on purpose. */
  forget(key: string): void {
    const lease = this.#leaseOfKey.get(key);
    if (lease !== undefined) {
      lease.keys.delete(key);
      this.#roomy[lease.leaseClass].add(lease);
    }
    this.#leaseOfKey.delete(key);
    this.#lost.delete(key);
  }

  forgetPrefix(prefix: string): void {
    for (const key of [...this.#leaseOfKey.keys(), ...this.#lost]) {
      if (key.startsWith(prefix)) this.forget(key);
    }
  }

  /** The lease has ended; returns the keys that went with it. */
  lose(id: string): readonly string[] {
    const lease = this.#leases.get(id);
    if (lease === undefined) return [];
    this.#leases.delete(id);
    this.#roomy[lease.leaseClass].delete(lease);
    for (const key of lease.keys) {
      this.#leaseOfKey.delete(key);
      this.#lost.add(key);
    }
    return [...lease.keys];
  }
}

// Which ports have which names at the pods of each identity, as their owners (one a pod address)
// say. Pods of one identity cannot be told apart, so a name means the ports of all of them.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { NamedPort } from "./port-prefixes.ts";

export interface NamedPorts {
  set(
    owner: string,
    ports: { readonly identity: IdentityNumber; readonly ports: readonly NamedPort[] } | undefined,
  ): void;
  portsOf(identity: IdentityNumber): readonly NamedPort[];
  /** Identities that have a port of that name. */
  holdersOf(name: string): Iterable<IdentityNumber>;
}

export interface NamedPortsOptions {
  /** An identity's ports have changed. */
  readonly onChange: (identity: IdentityNumber) => void;
}

/** A list of ports as some of the identity's pods have it: pods of a deployment share one. */
interface SharedList {
  readonly ports: readonly NamedPort[];
  owners: number;
}

export function createNamedPorts(options: NamedPortsOptions): NamedPorts {
  const byOwner = new Map<string, { identity: IdentityNumber; key: string }>();
  const byIdentity = new Map<IdentityNumber, Map<string, SharedList>>();
  const byName = new Map<string, Set<IdentityNumber>>();

  function add(identity: IdentityNumber, ports: readonly NamedPort[]): string {
    const key = namedPortsKey(ports);
    const lists = byIdentity.get(identity) ?? new Map<string, SharedList>();
    byIdentity.set(identity, lists);
    const shared = lists.get(key);
    if (shared !== undefined) {
      shared.owners++;
      return key;
    }
    lists.set(key, { ports, owners: 1 });
    for (const { name } of ports) {
      const holders = byName.get(name);
      if (holders === undefined) byName.set(name, new Set([identity]));
      else holders.add(identity);
    }
    options.onChange(identity);
    return key;
  }

  function remove(identity: IdentityNumber, key: string): void {
    const lists = byIdentity.get(identity);
    const shared = lists?.get(key);
    if (lists === undefined || shared === undefined || --shared.owners > 0) return;
    lists.delete(key);
    if (lists.size === 0) byIdentity.delete(identity);
    const left = new Set(portsOf(identity).map(({ name }) => name));
    for (const { name } of shared.ports) {
      if (left.has(name)) continue;
      const holders = byName.get(name);
      holders?.delete(identity);
      if (holders?.size === 0) byName.delete(name);
    }
    options.onChange(identity);
  }

  function portsOf(identity: IdentityNumber): readonly NamedPort[] {
    const lists = byIdentity.get(identity);
    return lists === undefined ? [] : [...lists.values()].flatMap(({ ports }) => ports);
  }

  return {
    set(owner, given) {
      const before = byOwner.get(owner);
      // The new list first: of an owner that has moved to an equal one nothing changes.
      if (given === undefined || given.ports.length === 0) byOwner.delete(owner);
      else byOwner.set(owner, { identity: given.identity, key: add(given.identity, given.ports) });
      if (before !== undefined) remove(before.identity, before.key);
    },
    portsOf,
    holdersOf: (name) => byName.get(name) ?? [],
  };
}

/** The same for the same ports, in whatever order they are named. */
export function namedPortsKey(ports: readonly NamedPort[]): string {
  const each = ports.map(({ name, port, protocol }) => JSON.stringify([name, port, protocol]));
  return [...new Set(each)].sort().join();
}

// Our own addresses among the claims: pod prefixes, node addresses and ClusterIPs, always as the
// source has them. They are seized, not asked for: a peer that spoke for one of them before loses.
import { tableSynced, type Table } from "../../mesh/core/table.ts";
import type { Source } from "../source/objects.ts";
import type { Claims } from "./claims.ts";
import { claimsOfOwnNode, claimsOfOwnService } from "./record-claims.ts";

export interface OwnClaims {
  /** Follows the source; resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when everything of our own is claimed, or when the signal is aborted. */
  ready(signal: AbortSignal): Promise<void>;
}

export function createOwnClaims(options: {
  cluster: string;
  source: Source;
  claims: Claims;
}): OwnClaims {
  const { cluster, source, claims } = options;
  const held = new Map<string, readonly string[]>();

  function hold(name: string, prefixes: readonly string[]): void {
    const before = held.get(name) ?? [];
    // First the new, then the old: an address in both is never free in between.
    const added = prefixes.filter((prefix) => !before.includes(prefix));
    const gone = before.filter((prefix) => !prefixes.includes(prefix));
    claims.seize(cluster, added);
    claims.release(cluster, gone);
    if (prefixes.length > 0) held.set(name, prefixes);
    else held.delete(name);
  }

  function holdNode(name: string): void {
    const node = source.Node.get(name);
    hold(`Node ${name}`, node === undefined ? [] : claimsOfOwnNode(node));
  }

  function holdService(name: string): void {
    const service = source.Service.get(name);
    hold(`Service ${name}`, service === undefined ? [] : claimsOfOwnService(service));
  }

  async function follow(
    table: Table<unknown>,
    use: { holdOne: (name: string) => void; signal: AbortSignal },
  ): Promise<void> {
    for await (const names of table.changes(use.signal)) {
      for (const name of names) use.holdOne(name);
    }
  }

  return {
    async run(signal) {
      await Promise.all([
        follow(source.Node, { holdOne: holdNode, signal }),
        follow(source.Service, { holdOne: holdService, signal }),
      ]);
    },
    async ready(signal) {
      await tableSynced(source.Node, signal);
      await tableSynced(source.Service, signal);
      // run() may not have had its turn yet; holding twice is holding once.
      for (const [name] of source.Node.entries()) holdNode(name);
      for (const [name] of source.Service.entries()) holdService(name);
    },
  };
}

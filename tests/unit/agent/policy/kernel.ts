// What a node's kernel would hold and do, if changes were applied as the engine says: one trie of
// prefixes for both families, a map of entries for each endpoint, and three planes for a packet.
import { aggregateOf, entryKey } from "../../../../agent/policy/entry.ts";
import type {
  EndpointChange,
  PolicyChanges,
  PolicyEntry,
} from "../../../../agent/policy/engine.ts";
import { parseAddress, parsePrefix } from "../../../../mesh/core/address.ts";
import { OWN, type Packet } from "./naive-verdict.ts";

const MAPPED = [...Array.from({ length: 10 }, () => 0), 0xff, 0xff];

export class Kernel {
  /** Undefined: closed. */
  readonly endpoints = new Map<string, Map<string, PolicyEntry> | undefined>();
  readonly rows = new Map<string, number>();

  /** Applies changes in the order that is asked for, and stops after each step. */
  *apply({ endpoints, rows }: PolicyChanges): Generator<void> {
    for (const [key, change] of endpoints) {
      this.endpoints.set(key, applied(this.endpoints.get(key), change));
      yield;
    }
    for (const { prefix, identity } of rows.put) {
      this.rows.set(prefix, identity);
      yield;
    }
    for (const { prefix } of rows.deleted) {
      this.rows.delete(prefix);
      yield;
    }
  }

  verdict({ endpoint, direction, peer, protocol, port }: Packet): "allow" | "deny" {
    const entries = this.endpoints.get(endpoint);
    if (entries === undefined) return "deny";
    const identity = typeof peer === "number" ? peer : this.identityOf(peer);
    const planes = [identity, aggregateOf(identity, OWN.identities), 0];
    const found = planes.flatMap((plane) => {
      if (plane === undefined) return [];
      const keys = longestFirst(protocol, port).map((prefix) =>
        entryKey({ identity: plane, direction, ...prefix }),
      );
      const entry = keys.map((key) => entries.get(key)).find((candidate) => candidate);
      return entry === undefined ? [] : [entry.verdict];
    });
    if (found.includes("deny")) return "deny";
    return found.includes("allow") ? "allow" : "deny";
  }

  /** By the longest row, as bits of 16 bytes; without one the world of its family. */
  identityOf(address: string): number {
    const wanted = bitsOf(parseAddress(address).bytes);
    const rows = [...this.rows].map(([text, identity]) => {
      const { bytes, length, family } = parsePrefix(text);
      return { bits: bitsOf(bytes).slice(0, family === 4 ? 96 + length : length), identity };
    });
    const held = rows.filter(({ bits }) => wanted.startsWith(bits));
    held.sort((a, b) => b.bits.length - a.bits.length);
    return held[0]?.identity ?? (address.includes(":") ? 10 : 9);
  }
}

function applied(
  before: Map<string, PolicyEntry> | undefined,
  change: EndpointChange,
): Map<string, PolicyEntry> | undefined {
  switch (change.kind) {
    case "closed":
      return undefined;
    case "whole":
      return new Map(change.entries);
    case "changed": {
      if (before === undefined) throw new Error("Cannot change an endpoint that is closed");
      const now = new Map(before);
      for (const entry of change.deleted) {
        if (!now.delete(entryKey(entry))) throw new Error(`Cannot delete ${entryKey(entry)}`);
      }
      for (const entry of change.put) now.set(entryKey(entry), entry);
      return now;
    }
  }
}

function longestFirst(
  protocol: number,
  port: number,
): Pick<PolicyEntry, "protocol" | "port" | "portPrefixBits">[] {
  const prefixes = Array.from({ length: 17 }, (_, i) => {
    const bits = 16 - i;
    return { protocol, port: (port >> (16 - bits)) << (16 - bits), portPrefixBits: bits };
  });
  return [...prefixes, { protocol: 0, port: 0, portPrefixBits: 0 }];
}

function bitsOf(bytes: Uint8Array): string {
  const all = bytes.length === 4 ? [...MAPPED, ...bytes] : [...bytes];
  return all.map((byte) => byte.toString(2).padStart(8, "0")).join("");
}

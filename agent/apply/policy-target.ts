// Makes the kernel enforce what the engine says: each endpoint's map of entries, and the row that
// says whose it is and which edition of its policy holds.
//
// Allows that come to a map without denies are written in place: whatever a packet meets meanwhile
// was allowed before or is now. Everything else is a new map in one write, so that nobody meets a
// mixture; then the revision, by which open connections are judged again.
import {
  PolicyEnforcement,
  PolicyMode,
  PolicyVerdict,
  TrafficDirection,
  type InterfaceKey,
  type PolicyEntry as MapEntry,
  type PolicyKey,
  type PolicyNode,
  type PolicyState,
} from "../../bpf/gen/layout.ts";
import type { BpfMap } from "../../bpf/map.ts";
import type { PolicyMaps } from "../../bpf/policy-maps.ts";
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { EndpointChange } from "../policy/engine.ts";
import type { PolicyEntry } from "../policy/entry.ts";

export interface PolicyTargetMaps {
  readonly policies: Pick<PolicyMaps, "endpoints" | "open" | "replace" | "delete">;
  readonly policyState: Pick<
    BpfMap<InterfaceKey, PolicyState>,
    "get" | "put" | "delete" | "entries"
  >;
  readonly policyNode: Pick<BpfMap<number, PolicyNode>, "get" | "put">;
}

/** An endpoint as the kernel knows it. */
export interface PolicyPlace {
  readonly ifindex: number;
  readonly identity: IdentityNumber;
}

export interface PolicyTarget {
  /** What holds for endpoints without a policy; written only if it is not so already. */
  setMode(mode: "closed" | "open" | "off"): void;
  /**
   * Throws what the kernel says; then the endpoint is closed, or as it was where it already had a
   * policy. `entries` are all of them as they shall be.
   */
  apply(
    place: PolicyPlace,
    change: EndpointChange,
    entries: ReadonlyMap<string, PolicyEntry>,
  ): void;
  /** Another identity, the same policy. */
  rename(place: PolicyPlace): void;
  remove(ifindex: number): void;
  /** Removes what earlier agents left of endpoints that are none of these. */
  prune(keep: ReadonlySet<number>): void;
}

const DIRECTION = { ingress: TrafficDirection.ingress, egress: TrafficDirection.egress } as const;
/** Bits of an entry's key in front of its protocol, and with it. */
const EVERY_PROTOCOL_BITS = 40;
const EVERY_PORT_BITS = 48;
const REVISIONS = 2 ** 32;

export function createPolicyTarget(maps: PolicyTargetMaps): PolicyTarget {
  const { policies, policyState, policyNode } = maps;

  function writeState(
    { ifindex, identity }: PolicyPlace,
    { enforcement, isNew }: { readonly enforcement: PolicyEnforcement; readonly isNew: boolean },
  ): void {
    const before = policyState.get({ ifindex });
    const same = before?.enforcement === enforcement && before.identity === identity;
    if (same && !isNew) return;
    const revision = ((before?.revision ?? 0) + 1) % REVISIONS;
    policyState.put({ ifindex }, { identity, revision, enforcement });
  }

  function replace(place: PolicyPlace, entries: ReadonlyMap<string, PolicyEntry>): void {
    policies.replace(place.ifindex, mapRows(entries.values()));
    writeState(place, { enforcement: PolicyEnforcement.on, isNew: true });
  }

  /** Whether the map that an earlier agent left says the same; rules may have other numbers. */
  function isHeld({ ifindex }: PolicyPlace, entries: ReadonlyMap<string, PolicyEntry>): boolean {
    using held = policies.open(ifindex);
    if (held === undefined) return false;
    const wanted = new Map([...mapRows(entries.values())].map(([key, row]) => [textOf(key), row]));
    let count = 0;
    for (const [key, { verdict }] of held.entries()) {
      if (wanted.get(textOf(key))?.verdict !== verdict) return false;
      count++;
    }
    return count === wanted.size;
  }

  function whole(place: PolicyPlace, entries: ReadonlyMap<string, PolicyEntry>): void {
    const state = policyState.get({ ifindex: place.ifindex });
    if (state?.enforcement === PolicyEnforcement.on && isHeld(place, entries)) {
      // The same policy: only its rules' numbers are ours now, and no connection is judged again.
      policies.replace(place.ifindex, mapRows(entries.values()));
      writeState(place, { enforcement: PolicyEnforcement.on, isNew: false });
    } else {
      replace(place, entries);
    }
  }

  function inPlace(
    place: PolicyPlace,
    change: Extract<EndpointChange, { readonly kind: "changed" }>,
  ): boolean {
    using map = policies.open(place.ifindex);
    if (map === undefined) return false;
    map.putBatch(mapRows(change.put));
    map.deleteBatch([...mapRows(change.deleted)].map(([key]) => key));
    writeState(place, {
      enforcement: PolicyEnforcement.on,
      isNew: change.deleted.length > 0,
    });
    return true;
  }

  return {
    setMode(mode) {
      const wanted = PolicyMode[mode];
      if (policyNode.get(0)?.mode !== wanted) policyNode.put(0, { mode: wanted });
    },
    apply(place, change, entries) {
      switch (change.kind) {
        case "closed":
          writeState(place, { enforcement: PolicyEnforcement.closed, isNew: false });
          policies.delete(place.ifindex);
          return;
        case "whole":
          whole(place, entries);
          return;
        case "changed": {
          const denies = [...entries.values(), ...change.deleted].some(isDeny);
          if (denies || !inPlace(place, change)) replace(place, entries);
          return;
        }
      }
    },
    rename(place) {
      const enforcement = policyState.get({ ifindex: place.ifindex })?.enforcement;
      if (enforcement !== undefined) writeState(place, { enforcement, isNew: false });
    },
    remove(ifindex) {
      policyState.delete({ ifindex });
      policies.delete(ifindex);
    },
    prune(keep) {
      const rows = Array.from(policyState.entries(), ([{ ifindex }]) => ifindex);
      for (const ifindex of rows) if (!keep.has(ifindex)) policyState.delete({ ifindex });
      for (const ifindex of policies.endpoints()) if (!keep.has(ifindex)) policies.delete(ifindex);
    },
  };
}

function* mapRows(entries: Iterable<PolicyEntry>): Iterable<readonly [PolicyKey, MapEntry]> {
  for (const entry of entries) yield [mapKeyFromEntry(entry), mapEntryFromEntry(entry)];
}

/** `prefixLength` covers what the entry says; the rest of the key is zero. */
export function mapKeyFromEntry(entry: PolicyEntry): PolicyKey {
  const { identity, direction, protocol, port, portPrefixBits } = entry;
  const prefixLength = protocol === 0 ? EVERY_PROTOCOL_BITS : EVERY_PORT_BITS + portPrefixBits;
  return { prefixLength, identity, direction: DIRECTION[direction], protocol, port };
}

/** The other way round, of a row that is in a map. */
export function entryFromMapRow([key, { verdict, rule }]: readonly [
  PolicyKey,
  MapEntry,
]): PolicyEntry {
  const { prefixLength, identity, protocol, port } = key;
  return {
    identity,
    direction: key.direction === TrafficDirection.egress ? "egress" : "ingress",
    protocol,
    port,
    portPrefixBits: Math.max(0, prefixLength - EVERY_PORT_BITS),
    verdict: verdict === PolicyVerdict.allow ? "allow" : "deny",
    rule,
  };
}

function mapEntryFromEntry({ verdict, rule }: PolicyEntry): MapEntry {
  return { verdict: verdict === "allow" ? PolicyVerdict.allow : PolicyVerdict.deny, rule };
}

function textOf({ prefixLength, identity, direction, protocol, port }: PolicyKey): string {
  return `${prefixLength}/${identity}/${direction}/${protocol}/${port}`;
}

function isDeny({ verdict }: PolicyEntry): boolean {
  return verdict === "deny";
}

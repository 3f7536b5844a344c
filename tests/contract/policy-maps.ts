// What PolicyMaps promises, whoever keeps them.
import { describe, expect, test } from "@jest/globals";
import { PolicyVerdict, TrafficDirection, type PolicyEntry } from "../../bpf/gen/layout.ts";
import type { PolicyMaps, PolicyRow } from "../../bpf/policy-maps.ts";

const ANY_PORT = 48;

function row(identity: number, protocol: number, rule: number): PolicyRow {
  const direction = TrafficDirection.ingress;
  return [
    { prefixLength: ANY_PORT, identity, direction, protocol, port: 0 },
    { verdict: PolicyVerdict.allow, rule },
  ];
}

/** What the endpoint's map says of TCP to port 80 from the identity. */
function ask(maps: PolicyMaps, ifindex: number, identity: number): PolicyEntry | undefined {
  using map = maps.open(ifindex);
  const direction = TrafficDirection.ingress;
  return map?.get({ prefixLength: 64, identity, direction, protocol: 6, port: 80 });
}

export function testPolicyMaps(name: string, create: () => PolicyMaps): void {
  describe(`PolicyMaps (${name})`, () => {
    test("an endpoint has no policy, then this one, then another one, then none", () => {
      using maps = create();
      expect(maps.open(7)).toBeUndefined();
      maps.replace(7, [row(256, 6, 1), row(257, 6, 2)]);
      maps.replace(8, []);
      expect(new Set(maps.endpoints())).toEqual(new Set([7, 8]));
      expect(ask(maps, 7, 256)).toEqual({ verdict: PolicyVerdict.allow, rule: 1 });
      maps.replace(7, [row(256, 6, 3)]);
      expect(ask(maps, 7, 256)?.rule).toBe(3);
      expect(ask(maps, 7, 257)).toBeUndefined();
      expect([maps.delete(7), maps.delete(7)]).toEqual([true, false]);
      expect(maps.open(7)).toBeUndefined();
      expect(maps.endpoints()).toEqual([8]);
    });

    test("what is in force can be edited in place", () => {
      using maps = create();
      maps.replace(7, [row(256, 6, 1)]);
      {
        using map = maps.open(7);
        map?.putBatch([row(300, 17, 5), row(301, 6, 6)]);
        map?.delete(row(256, 6, 1)[0]);
      }
      expect([ask(maps, 7, 256), ask(maps, 7, 301)?.rule]).toEqual([undefined, 6]);
      using again = maps.open(7);
      const identities = [...(again?.entries() ?? [])].map(([{ identity }]) => identity);
      expect(new Set(identities)).toEqual(new Set([300, 301]));
    });

    test("a map may have any size, and one that is too small changes nothing", () => {
      using maps = create();
      const rows = Array.from({ length: 5000 }, (_, i) => row(1000 + i, 6, i));
      maps.replace(7, rows);
      expect(ask(maps, 7, 5999)?.rule).toBe(4999);
      expect(() => maps.replace(7, rows, 100)).toThrow(
        expect.objectContaining({ code: "resource_exhausted" }),
      );
      expect(ask(maps, 7, 5999)?.rule).toBe(4999);
      maps.replace(7, rows.slice(0, 100), 100);
      using map = maps.open(7);
      expect([map?.maxEntries, ask(maps, 7, 5999)]).toEqual([100, undefined]);
      expect(() => map?.put(...row(1, 6, 1))).toThrow(/is full/);
    });

    test("of two entries the longer prefix counts", () => {
      using maps = create();
      const [key, entry] = row(256, 6, 1);
      const deny = { verdict: PolicyVerdict.deny, rule: 2 };
      maps.replace(7, [
        [key, entry],
        [{ ...key, prefixLength: 58, port: 64 }, deny],
        [
          { ...key, prefixLength: 64, port: 80 },
          { ...entry, rule: 3 },
        ],
      ]);
      using map = maps.open(7);
      const rules = [63, 64, 80, 127, 128].map(
        (port) => map?.get({ ...key, prefixLength: 64, port })?.rule,
      );
      expect(rules).toEqual([1, 2, 3, 2, 1]);
    });
  });
}

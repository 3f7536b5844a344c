import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  coveringKeys,
  EVERY_PORT,
  portPrefixes,
  portPrefixFromKey,
  portPrefixHolds,
  portPrefixKey,
  prefixesFromMatch,
  prefixesFromNamed,
  type PortPrefix,
} from "../../../../agent/policy/port-prefixes.ts";

const port = fc.integer({ min: 0, max: 65_535 });
const range = fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

describe("portPrefixes()", () => {
  test.each([
    ["one port", [80, 80], [{ port: 80, bits: 16 }]],
    ["every port", [0, 65_535], [{ port: 0, bits: 0 }]],
    ["the unprivileged ones", [1_024, 65_535], [1, 2, 3, 4, 5, 6].map(blockBelow)],
    [
      "two that are no pair",
      [79, 80],
      [
        { port: 79, bits: 16 },
        { port: 80, bits: 16 },
      ],
    ],
    ["the last", [65_535, 65_535], [{ port: 65_535, bits: 16 }]],
    ["none", [81, 80], []],
  ] as const)("%s", (_, [first, last], prefixes) => {
    expect(portPrefixes(first, last)).toEqual(prefixes);
  });

  test("cover the range and nothing else, once, and never more than 30 are needed", () => {
    fc.assert(
      fc.property(range, port, ([first, last], asked) => {
        const prefixes = portPrefixes(first, last).map((found) => ({ ...found, protocol: 6 }));
        const holding = prefixes.filter((prefix) => portPrefixHolds(prefix, 6, asked));
        expect(holding.length).toBe(asked >= first && asked <= last ? 1 : 0);
        expect(prefixes.length).toBeLessThanOrEqual(30);
        for (const { port: start, bits } of prefixes) expect(start % 2 ** (16 - bits)).toBe(0);
      }),
    );
  });

  test("no two of them could be one", () => {
    fc.assert(
      fc.property(range, ([first, last]) => {
        const blocks = portPrefixes(first, last);
        const seen = new Set(blocks.map(({ port: start, bits }) => `${start}/${bits}`));
        for (const { port: start, bits } of blocks) {
          const sibling = start ^ (2 ** (16 - bits));
          expect(seen.has(`${sibling}/${bits}`)).toBe(false);
        }
      }),
    );
  });
});

/** 1,024/6 bits, 2,048/5 bits and so on: each block begins where the last one ended. */
function blockBelow(i: number): { port: number; bits: number } {
  return { port: 2 ** (9 + i), bits: 7 - i };
}

describe("what a port of a rule means", () => {
  test("ANY is TCP, UDP and SCTP", () => {
    const prefixes = prefixesFromMatch({ protocol: "ANY", first: 53, last: 53 });
    expect(prefixes.map(({ protocol }) => protocol)).toEqual([6, 17, 132]);
  });

  test("a type of ICMP stands at the port", () => {
    expect(prefixesFromMatch({ protocol: "ICMPv6", type: 128 })).toEqual([
      { protocol: 58, port: 128, bits: 16 },
    ]);
  });

  test("a name is every port that has it, and its protocol", () => {
    const ports = [
      { name: "dns", port: 53, protocol: "UDP" },
      { name: "dns", port: 5353, protocol: "TCP" },
      { name: "web", port: 80, protocol: "TCP" },
    ] as const;
    const of = (protocol: "TCP" | "ANY"): number[] =>
      prefixesFromNamed([{ protocol, name: "dns" }], ports).map(({ port: number }) => number);
    expect(of("TCP")).toEqual([5353]);
    expect(of("ANY")).toEqual([53, 5353]);
    expect(prefixesFromNamed([{ protocol: "ANY", name: "none" }], ports)).toEqual([]);
  });
});

describe("keys", () => {
  const prefix: fc.Arbitrary<PortPrefix> = fc
    .record({ protocol: fc.integer({ min: 1, max: 255 }), port, bits: fc.nat({ max: 16 }) })
    .map((any) => ({ ...any, port: (any.port >> (16 - any.bits)) << (16 - any.bits) }));

  test("stand for their prefix", () => {
    fc.assert(
      fc.property(prefix, (any) => {
        expect(portPrefixFromKey(portPrefixKey(any))).toEqual(any);
      }),
    );
  });

  test("of what covers a prefix: those that hold all its ports, and every protocol", () => {
    fc.assert(
      fc.property(prefix, (any) => {
        const covering = [...coveringKeys(any)].map(portPrefixFromKey);
        expect(covering.length).toBe(any.bits + 2);
        expect(covering[0]).toEqual(any);
        expect(covering.at(-1)).toEqual(EVERY_PORT);
        const last = any.port + 2 ** (16 - any.bits) - 1;
        for (const wider of covering) {
          expect(portPrefixHolds(wider, any.protocol, any.port)).toBe(true);
          expect(portPrefixHolds(wider, any.protocol, last)).toBe(true);
        }
      }),
    );
  });
});

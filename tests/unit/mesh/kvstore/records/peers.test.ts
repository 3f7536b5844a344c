import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  configuredPeerName,
  encodeConfiguredPeer,
  parseConfiguredPeer,
  sameConfiguredPeer,
} from "../../../../../mesh/kvstore/records/peers.ts";
import { damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const WEST = { name: "west", id: 2 };
const UNMET = { name: "west", id: undefined };

describe("parseConfiguredPeer()", () => {
  for (const peer of [WEST, UNMET, { name: "west", id: 511 }]) {
    test(`parseConfiguredPeer() reads what was written with id ${peer.id}`, () => {
      expect(parseConfiguredPeer("west", encodeConfiguredPeer(peer))).toEqual(peer);
    });
  }

  test("parseConfiguredPeer() takes null for an unknown id and ignores later fields", () => {
    const value = Buffer.from('{"name":"west","id":null,"since":"2026"}');
    expect(parseConfiguredPeer("west", value)).toEqual(UNMET);
  });

  for (const text of [
    "{}",
    '{"name":"north"}',
    '{"name":"west","id":0}',
    '{"name":"west","id":512}',
    '{"name":"west","id":1.5}',
    '{"name":"west","id":"2"}',
    "[]",
  ]) {
    test(`parseConfiguredPeer() refuses ${text}`, () => {
      expect(() => parseConfiguredPeer("west", Buffer.from(text))).toThrow(
        /^Cannot use configured peer "west": /,
      );
    });
  }

  test("parseConfiguredPeer() refuses a name that no cluster can have", () => {
    const peer = { name: "We/st", id: 2 };
    expect(() => parseConfiguredPeer("We/st", encodeConfiguredPeer(peer))).toThrow(/We\/st/);
  });

  test("parseConfiguredPeer() parses or refuses, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(fc.constant(encodeConfiguredPeer(WEST))), (bytes) => {
        const parsed = parsedOrRefused(() => parseConfiguredPeer("west", bytes));
        expect(parsed === undefined || parsed.name === "west").toBe(true);
      }),
    );
  });
});

describe("encodeConfiguredPeer()", () => {
  test("writes JSON, without an id that is unknown", () => {
    expect(encodeConfiguredPeer(WEST).toString()).toBe('{"name":"west","id":2}');
    expect(encodeConfiguredPeer(UNMET).toString()).toBe('{"name":"west"}');
  });
});

describe("configuredPeerName()", () => {
  test("is the tail of its key", () => expect(configuredPeerName(WEST)).toBe("west"));
});

describe("sameConfiguredPeer()", () => {
  test("compares name and id", () => {
    expect(sameConfiguredPeer(WEST, { ...WEST })).toBe(true);
    expect(sameConfiguredPeer(WEST, UNMET)).toBe(false);
    expect(sameConfiguredPeer(WEST, { ...WEST, name: "north" })).toBe(false);
  });
});

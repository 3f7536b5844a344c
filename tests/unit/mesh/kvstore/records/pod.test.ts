import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  encodeLocalPod,
  localPodName,
  parseLocalPod,
  sameLocalPod,
  type LocalPod,
} from "../../../../../mesh/kvstore/records/pod.ts";
import { damaged } from "./arbitraries.ts";
import { parsedOrRefused } from "./record-contract.ts";

const EAST = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const POD: LocalPod = {
  namespace: "shop",
  name: "cart-0",
  identity: 65_536 + 300,
  namedPorts: [{ name: "http", port: 8_080, protocol: "TCP" }],
};
const encoded = (change: object): Buffer =>
  Buffer.from(JSON.stringify({ identity: POD.identity, namedPorts: POD.namedPorts, ...change }));

describe("parseLocalPod()", () => {
  test("reads what was written", () => {
    expect(localPodName(POD)).toBe("shop/cart-0");
    expect(parseLocalPod("shop/cart-0", encodeLocalPod(POD), EAST)).toEqual(POD);
    expect(parseLocalPod("shop/cart-0", encoded({ namedPorts: undefined }), EAST)).toEqual({
      ...POD,
      namedPorts: [],
    });
  });

  test("takes the first of more named ports than a record may have", () => {
    const namedPorts = Array.from({ length: 300 }, (_, i) => ({
      name: `p${i}`,
      port: i + 1,
      protocol: "UDP" as const,
    }));
    const parsed = parseLocalPod("shop/cart-0", encodeLocalPod({ ...POD, namedPorts }), EAST);
    expect(parsed.namedPorts).toEqual(namedPorts.slice(0, 256));
  });

  const refused: [string, string, object, string][] = [
    ["an identity of another cluster", "shop/a", { identity: 131_072 }, '"identity" is 131072'],
    ["a reserved identity", "shop/a", { identity: 1 }, '"identity" is 1'],
    ["no identity", "shop/a", { identity: undefined }, '"identity" is missing'],
    ["a key without a namespace", "a", {}, 'want "NAMESPACE/NAME"'],
    ["a key with more", "shop/a/b", {}, 'want "NAMESPACE/NAME"'],
    ["a name that no pod has", "shop/A", {}, 'want "NAMESPACE/NAME"'],
    [
      "a port without a name",
      "shop/a",
      { namedPorts: [{ port: 1, protocol: "TCP" }] },
      '"namedPorts.0.name" is missing',
    ],
    [
      "a port beyond the range",
      "shop/a",
      { namedPorts: [{ name: "a", port: 65_536, protocol: "TCP" }] },
      '"namedPorts.0.port"',
    ],
    ["too many ports", "shop/a", { namedPorts: Array(257).fill({}) }, "a list of 257"],
  ];
  test.each(refused)("refuses %s", (_, name, change, message) => {
    expect(() => parseLocalPod(name, encoded(change), EAST)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      }),
    );
  });

  test("parses or refuses, whatever bytes it is given", () => {
    fc.assert(
      fc.property(damaged(fc.constant(encodeLocalPod(POD))), (bytes) => {
        const parsed = parsedOrRefused(() => parseLocalPod("shop/cart-0", bytes, EAST));
        expect(parsed === undefined || parsed.identity >> 16 === EAST.id).toBe(true);
      }),
    );
  });
});

test("sameLocalPod() compares every field", () => {
  expect(sameLocalPod(POD, { ...POD, namedPorts: [...POD.namedPorts] })).toBe(true);
  expect(sameLocalPod(POD, { ...POD, namedPorts: [] })).toBe(false);
});

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  addressFromMapAddress,
  ipcacheKeyFromPrefix,
  ipcacheKeyFromText,
  isNoAddress,
  mapAddressFromAddress,
  mapAddressFromText,
  prefixFromIpcacheKey,
} from "../../../bpf/address.ts";
import { addressFromBytes, parseAddress, parsePrefix } from "../../../mesh/core/address.ts";

const ADDRESSES = [
  ["10.1.2.3", "00000000000000000000ffff0a010203"],
  ["0.0.0.0", "00000000000000000000ffff00000000"],
  ["fd00::1", "fd000000000000000000000000000001"],
] as const;

describe("mapAddressFromAddress()", () => {
  for (const [text, hex] of ADDRESSES) {
    test(`holds ${text} in 16 bytes, and addressFromMapAddress() finds it again`, () => {
      const bytes = mapAddressFromAddress(parseAddress(text));
      expect(Buffer.from(bytes).toString("hex")).toBe(hex);
      expect(addressFromMapAddress(bytes).text).toBe(text);
    });
  }

  test("is undone for every IPv4 address", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        const address = addressFromBytes(bytes);
        expect(addressFromMapAddress(mapAddressFromAddress(address))).toEqual(address);
      }),
    );
  });
});

describe("ipcacheKeyFromPrefix()", () => {
  for (const [text, length] of [
    ["10.0.0.0/8", 104],
    ["0.0.0.0/0", 96],
    ["10.1.2.3/32", 128],
    ["fd00::/16", 16],
    ["::/0", 0],
  ] as const) {
    test(`counts ${length} bits for ${text}, and prefixFromIpcacheKey() undoes it`, () => {
      const key = ipcacheKeyFromPrefix(parsePrefix(text));
      expect(key.prefixLength).toBe(length);
      expect(prefixFromIpcacheKey(key)).toEqual(parsePrefix(text));
    });
  }
});

describe("mapAddressFromText()", () => {
  const slow = (text: string): Uint8Array => mapAddressFromAddress(parseAddress(text));

  for (const text of ["0.0.0.0", "255.255.255.255", "::", "::1", "1::", "1::8", "FD00::aBc"])
    test(`reads ${text}`, () => {
      expect(mapAddressFromText(text)).toEqual(slow(text));
    });

  for (const text of ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:10.0.0.1"])
    test(`reads ${text}`, () => {
      expect(mapAddressFromText(text)).toEqual(slow(text));
    });

  test("writes every byte of the memory that it is given", () => {
    const into = new Uint8Array(16).fill(0xaa);
    for (const text of ["fd00::1", "10.1.2.3", "::ffff:10.0.0.1", "::", "1:2:3:4:5:6:7::"])
      expect(mapAddressFromText(text, into)).toEqual(slow(text));
  });

  test("reads every address as parseAddress() does", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        expect(mapAddressFromText(text)).toEqual(slow(text));
      }),
      { numRuns: 1_000 },
    );
  });

  for (const text of ["", "10.0.0", "10.0.0.256", "010.0.0.1", "fe80::1%eth0", ":::", "x"])
    test(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => mapAddressFromText(text)).toThrow(/^Cannot parse IP address/);
    });
});

describe("ipcacheKeyFromText()", () => {
  for (const text of ["10.1.2.3/32", "10.0.0.0/8", "0.0.0.0/0", "fd00::1/128", "fd00::/16", "::/0"])
    test(`reads ${text} as parsePrefix() does`, () => {
      expect(ipcacheKeyFromText(text)).toEqual(ipcacheKeyFromPrefix(parsePrefix(text)));
    });

  for (const text of [
    "10.1.2.3",
    "10.1.2.3/33",
    "10.1.2.3/128",
    "10.1.2/32",
    "10.1.2.3/8",
    "fd00::1/32",
    "10.1.2.3/032",
    "/32",
  ])
    test(`refuses ${text}`, () => {
      expect(() => ipcacheKeyFromText(text)).toThrow(/^Cannot parse/);
    });
});

test("isNoAddress() is true for 16 zeros only", () => {
  expect(isNoAddress(new Uint8Array(16))).toBe(true);
  expect(isNoAddress(mapAddressFromAddress(parseAddress("0.0.0.0")))).toBe(false);
  expect(isNoAddress(mapAddressFromAddress(parseAddress("::1")))).toBe(false);
});

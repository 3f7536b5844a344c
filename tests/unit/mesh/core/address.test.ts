// Addresses and prefixes against node:net, known vectors of RFC 5952, and bit arithmetic.
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  addressFromBytes,
  addressFromText,
  addressInPrefix,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
  prefixFromAddress,
  reservedAddressReason,
} from "../../../../mesh/core/address.ts";

const ipv4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Many zero groups, so that "::" is met often. */
const ipv6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
const addressBytes = fc.oneof(ipv4Bytes, ipv6Bytes);

describe("parseAddress()", () => {
  for (const [text, canonical] of [
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    // RFC 5952 §1 and §4.
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"],
    ["2001:DB8::0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1::", "1::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::FFFF:10.1.2.3", "::ffff:10.1.2.3"],
    ["::ffff:a01:203", "::ffff:10.1.2.3"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ] as const) {
    test(`parseAddress() reads ${text} as ${canonical}`, () => {
      expect(parseAddress(text).text).toBe(canonical);
    });
  }

  for (const text of [
    "",
    ".",
    ":",
    ":::",
    "1",
    "1.2.3",
    "1.2.3.4.",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.-4",
    " 1.2.3.4",
    "1.2.3.4\n",
    "1.2.3.4/32",
    "0x7f.1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    "1:::2",
    ":1::2",
    "1::2:",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
  ]) {
    test(`parseAddress() refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseAddress(text)).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    });
  }

  test("parseAddress() reads its own text back", () => {
    fc.assert(
      fc.property(addressBytes, (bytes) => {
        const address = addressFromBytes(bytes);
        const again = parseAddress(address.text);
        expect(again.text).toBe(address.text);
        expect([...again.bytes]).toEqual([...bytes]);
      }),
    );
  });

  test("addressFromText() accepts exactly what node:net accepts, but for zones", () => {
    const nearly = fc.array(
      fc.constantFrom("0", "1", "25", "255", "256", "ffff", "a", ":", "::", ".", "%e", "00"),
      { maxLength: 17 },
    );
    fc.assert(
      fc.property(nearly, (parts) => {
        const text = parts.join("");
        const wanted = isIPv4(text) || (isIPv6(text) && !text.includes("%"));
        expect(addressFromText(text) !== undefined).toBe(wanted);
      }),
      { numRuns: 3_000 },
    );
  });

  test("addressFromText() gives IPv6 the text that a URL gives it", () => {
    fc.assert(
      fc.property(ipv6Bytes, (bytes) => {
        const { text } = addressFromBytes(bytes);
        if (text.includes(".")) return; // URLs write mapped addresses in groups.
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
    );
  });
});

describe("addressFromBytes()", () => {
  for (const length of [0, 3, 5, 15, 17]) {
    test(`addressFromBytes() refuses ${length} bytes`, () => {
      expect(() => addressFromBytes(new Uint8Array(length))).toThrow(/want 4 or 16 bytes/);
    });
  }
});

describe("parsePrefix()", () => {
  for (const [text, canonical] of [
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.1.2.3/32", "10.1.2.3/32"],
    ["FD00:0::/64", "fd00::/64"],
    ["::/0", "::/0"],
  ] as const) {
    test(`parsePrefix() reads ${text} as ${canonical}`, () => {
      expect(parsePrefix(text).text).toBe(canonical);
    });
  }

  for (const [text, reason] of [
    ["10.0.0.0", /want ADDRESS\/LENGTH/],
    ["10.0.0.0/", /want ADDRESS\/LENGTH/],
    ["10.0.0.0/08", /want ADDRESS\/LENGTH/],
    ["10.0.0.0/-1", /want ADDRESS\/LENGTH/],
    ["10.0.0.0/33", /at most 32/],
    ["fd00::/129", /at most 128/],
    ["10.0.0.1/8", /want "10.0.0.0\/8"/],
    ["fd00::1/64", /want "fd00::\/64"/],
    ["x/8", /Cannot parse IP address/],
  ] as const) {
    test(`parsePrefix() refuses ${text}`, () => {
      expect(() => parsePrefix(text)).toThrow(reason);
    });
  }
});

describe("prefixContains() and prefixesOverlap()", () => {
  const prefixes = addressBytes.chain((bytes) =>
    fc
      .integer({ min: 0, max: bytes.length * 8 })
      .map((length) => prefixFromAddress(addressFromBytes(bytes), length)),
  );

  test("prefixContains() agrees with node:net", () => {
    fc.assert(
      fc.property(prefixes, addressBytes, fc.nat(128), (prefix, bytes, keep) => {
        // Mix the prefix's own bits in, or hardly any address would lie inside.
        const mixed = bytes.map((byte, i) => (i * 8 < keep ? (prefix.bytes[i] ?? byte) : byte));
        const address = addressFromBytes(mixed);
        if (address.text.includes("ffff:") && address.text.includes(".")) return;
        const list = new BlockList();
        const family = prefix.family === 4 ? "ipv4" : "ipv6";
        list.addSubnet(prefix.text.split("/")[0] ?? "", prefix.length, family);
        const wanted = prefix.family === address.family && list.check(address.text, family);
        expect(prefixContains(prefix, address)).toBe(wanted);
      }),
    );
  });

  test("prefixesOverlap() holds both ways and exactly when one holds the other's start", () => {
    fc.assert(
      fc.property(prefixes, prefixes, (a, b) => {
        const wanted =
          prefixContains(a, addressFromBytes(b.bytes)) ||
          prefixContains(b, addressFromBytes(a.bytes));
        expect(prefixesOverlap(a, b)).toBe(wanted);
        expect(prefixesOverlap(b, a)).toBe(wanted);
      }),
    );
  });

  test("a prefix contains and overlaps itself", () => {
    fc.assert(
      fc.property(prefixes, (prefix) => {
        expect(prefixesOverlap(prefix, prefix)).toBe(true);
        expect(prefixContains(prefix, addressFromBytes(prefix.bytes))).toBe(true);
      }),
    );
  });
});

describe("addressInPrefix()", () => {
  for (const [prefix, index, text] of [
    ["10.1.2.0/24", 0n, "10.1.2.0"],
    ["10.1.2.0/24", 255n, "10.1.2.255"],
    ["10.0.0.0/8", 65_536n, "10.1.0.0"],
    ["fd00::/64", (1n << 64n) - 1n, "fd00::ffff:ffff:ffff:ffff"],
    ["10.0.0.1/32", 0n, "10.0.0.1"],
  ] as const) {
    test(`addressInPrefix() counts to ${index} in ${prefix}`, () => {
      expect(addressInPrefix(parsePrefix(prefix), index).text).toBe(text);
    });
  }

  for (const index of [-1n, 256n]) {
    test(`addressInPrefix() refuses ${index} of a /24`, () => {
      expect(() => addressInPrefix(parsePrefix("10.1.2.0/24"), index)).toThrow(/beyond its end/);
    });
  }
});

describe("reservedAddressReason()", () => {
  for (const [text, reason] of [
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "this-network"],
    ["127.0.0.1", "loopback"],
    ["169.254.1.1", "link-local"],
    ["224.0.0.1", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "reserved"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["fe80::1", "link-local"],
    ["febf::1", "link-local"],
    ["ff02::1", "multicast"],
    ["::ffff:10.0.0.1", "IPv4-mapped"],
    ["10.0.0.1", undefined],
    ["169.253.0.1", undefined],
    ["fd00::1", undefined],
    ["fec0::1", undefined],
    ["::2", undefined],
  ] as const) {
    test(`reservedAddressReason() of ${text} is ${reason}`, () => {
      expect(reservedAddressReason(parseAddress(text))).toBe(reason);
    });
  }
});

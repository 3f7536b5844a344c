import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { inspect } from "node:util";
import {
  createInviteSecret,
  encodeInviteToken,
  InviteSecret,
  parseInviteToken,
  type InviteToken,
} from "../../../../mesh/connect/invite-token.ts";

const colons = (bytes: Uint8Array): string =>
  (Buffer.from(bytes).toString("hex").toUpperCase().match(/../g) ?? []).join(":");

const tokens: fc.Arbitrary<InviteToken> = fc.record({
  cluster: fc
    .tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]$/), fc.boolean())
    .chain(([name, wide]) => {
      const maxConnectedClusters = wide ? 511 : 255;
      return fc.record({
        name: fc.constant(name === "default" ? "east" : name),
        id: fc.integer({ min: 1, max: maxConnectedClusters }),
        maxConnectedClusters: fc.constant<255 | 511>(maxConnectedClusters),
      });
    }),
  joinEndpoints: fc.array(
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `${ip}:${port}`),
    { minLength: 1, maxLength: 8 },
  ),
  caFingerprint: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(colons),
  inviteId: fc
    .uint8Array({ minLength: 8, maxLength: 8 })
    .map((bytes) => Buffer.from(bytes).toString("hex")),
  secret: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new InviteSecret(bytes)),
  expiresAtMs: fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((seconds) => seconds * 1000),
});

const plain = (token: InviteToken) => ({ ...token, secret: token.secret.hash });

describe("invite token", () => {
  test("parseInviteToken() reads every token that encodeInviteToken() writes", () => {
    fc.assert(
      fc.property(tokens, (token) => {
        expect(plain(parseInviteToken(` ${encodeInviteToken(token)}\n`))).toEqual(plain(token));
      }),
    );
  });

  test("no prefix of a token is a token, and it says that it was cut off", () => {
    fc.assert(
      fc.property(tokens, fc.nat(), (token, at) => {
        const text = encodeInviteToken(token);
        const cut = text.slice(0, 5 + (at % (text.length - 5)));
        expect(() => parseInviteToken(cut)).toThrow(/cut off/);
      }),
    );
  });

  test("no token with one other character is a token", () => {
    fc.assert(
      fc.property(
        tokens,
        fc.nat(),
        fc.constantFrom("A", "Z", "a", "z", "0", "9", "-", "_", "!", "."),
        (token, at, other) => {
          const text = encodeInviteToken(token);
          const index = at % text.length;
          const changed = text.slice(0, index) + other + text.slice(index + 1);
          fc.pre(changed !== text);
          expect(() => parseInviteToken(changed)).toThrow(/^Cannot use the token: it /);
        },
      ),
    );
  });

  test("nothing can be added to a token", () => {
    fc.assert(
      fc.property(tokens, fc.stringMatching(/^[A-Za-z0-9_-]{2,20}$/), (token, tail) => {
        expect(() => parseInviteToken(encodeInviteToken(token) + tail)).toThrow(/was changed/);
      }),
    );
  });

  const refused: readonly [string, string, string][] = [
    ["nothing", "", 'it is no invitation; one begins with "tmb1."'],
    ["another word", "hello", "it is no invitation"],
    ["a newer one", "tmb2.AAAA", 'it was made by a newer version, which writes "tmb2" tokens'],
    ["an endless one", `tmb1.${"A".repeat(5000)}`, "it is no invitation"],
    ["a foreign character", "tmb1.AA AA", "it was changed: character 8 cannot be in a token"],
    ["the prefix alone", "tmb1.", "it was cut off: its end is missing"],
  ];
  for (const [name, text, message] of refused) {
    test(`parseInviteToken() refuses ${name}`, () => {
      expect(() => parseInviteToken(text)).toThrow(`Cannot use the token: ${message}`);
    });
  }

  test("a usual token has at most 160 characters", () => {
    const [token] = fc.sample(tokens, 1);
    if (token === undefined) throw new Error("no sample");
    const usual = { ...token, joinEndpoints: ["192.168.100.100:32390"] };
    expect(encodeInviteToken(usual).length).toBeLessThanOrEqual(160);
  });
});

describe("InviteSecret", () => {
  test("does not leak by being printed", () => {
    const secret = createInviteSecret();
    const printed = [String(secret), JSON.stringify({ secret }), inspect({ secret })].join(" ");
    for (const form of ["hex", "base64", "base64url"] as const) {
      expect(printed).not.toContain(secret.bytes.toString(form));
    }
  });

  test("matchesHash() believes its own hash and no other", () => {
    const secret = createInviteSecret();
    expect(secret.matchesHash(secret.hash)).toBe(true);
    for (const hash of ["", "zz", createInviteSecret().hash, secret.hash.slice(2)]) {
      expect(secret.matchesHash(hash)).toBe(false);
    }
  });
});

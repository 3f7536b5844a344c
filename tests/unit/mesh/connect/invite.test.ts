import { describe, expect, test } from "@jest/globals";
import { createInvite, parseInviteTtl } from "../../../../mesh/connect/invite.ts";
import type { Invite } from "../../../../mesh/connect/invite-store.ts";
import { createFactsMaker, FACTS_NOW_MS } from "../../../fakes/cluster-facts.ts";

describe("parseInviteTtl()", () => {
  for (const [text, ms] of [
    ["60s", 60_000],
    ["15m", 900_000],
    ["24h", 86_400_000],
  ] as const) {
    test(`reads ${text}`, () => {
      expect(parseInviteTtl(text)).toBe(ms);
    });
  }
  for (const text of ["", "15", "0m", "59s", "25h", "-5m", "1.5h", "15 m", "99999999h"]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseInviteTtl(text)).toThrow(
        `Cannot use ${JSON.stringify(text)} as time to live: want 60s to 24h, such as "15m"`,
      );
    });
  }
});

test("createInvite() keeps a hash and hands out the secret", async () => {
  const east = await createFactsMaker("east", 1);
  let kept: Partial<Invite> = {};
  const token = await createInvite({
    inviter: {
      cluster: east.make().profile,
      joinEndpoints: Array.from({ length: 12 }, (_, i) => `10.0.0.${i}:32381`),
      authority: east.authority.certificate,
    },
    invites: {
      create: (options) => {
        kept = options;
        return Promise.resolve({ id: "0011223344556677", use: { kind: "open" }, ...options });
      },
      read: () => Promise.resolve(undefined),
      list: () => Promise.resolve([]),
      write: () => Promise.resolve(),
      delete: () => Promise.resolve(),
    },
    ttlMs: 60_000,
    nowMs: FACTS_NOW_MS + 999,
  });
  expect(token).toMatchObject({
    cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
    joinEndpoints: Array.from({ length: 8 }, (_, i) => `10.0.0.${i}:32381`),
    caFingerprint: east.authority.certificate.fingerprint,
    inviteId: "0011223344556677",
    expiresAtMs: FACTS_NOW_MS + 60_000,
  });
  expect(kept.secretHash).toBe(token.secret.hash);
});

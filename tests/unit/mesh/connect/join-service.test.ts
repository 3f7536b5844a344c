import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { inspect } from "node:util";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { createJsonLogger } from "../../../../mesh/core/logger.ts";
import { messageFromFacts } from "../../../../mesh/connect/facts-message.ts";
import { createInviteStore } from "../../../../mesh/connect/invite-store.ts";
import { createInviteSecret } from "../../../../mesh/connect/invite-token.ts";
import { createJoinService } from "../../../../mesh/connect/join-service.ts";
import { createClientRequest } from "../../../../mesh/connect/join-session.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";
import { createFactsMaker, FACTS_NOW_MS, type FactsMaker } from "../../../fakes/cluster-facts.ts";

const caller = { signal: new AbortController().signal, peer: "10.0.0.9:1234" };
let west: TestCluster;
let own: FactsMaker;
let east: FactsMaker;
let nowMs = FACTS_NOW_MS;
let logged = "";

beforeAll(async () => {
  west = await createTestCluster({ name: "west", id: 2 });
  [own, east] = await Promise.all([createFactsMaker("west", 2), createFactsMaker("east", 1)]);
}, 60_000);

afterAll(() => west.close());

async function setUp() {
  nowMs = FACTS_NOW_MS;
  const clock = { ...systemClock, nowMs: () => nowMs };
  const invites = createInviteStore(west.directory);
  const secret = createInviteSecret();
  const { id } = await invites.create({
    secretHash: secret.hash,
    expiresAtMs: FACTS_NOW_MS + 60_000,
  });
  const service = createJoinService({
    access: {
      ...west.access,
      readFacts: () => Promise.resolve(own.make()),
      readPeers: () => Promise.resolve([]),
    },
    invites,
    clock,
    log: createJsonLogger({ write: (line) => (logged += line), nowMs: () => 0, level: "debug" }),
  });
  const credential = { inviteId: Buffer.from(id, "hex"), secret: secret.bytes };
  const { request } = await createClientRequest("east");
  const facts = messageFromFacts(east.make(), nowMs);
  return {
    service,
    credential,
    secret,
    proposal: { credential, facts, signingRequest: request.pem },
  };
}

describe("createJoinService()", () => {
  test("answers a proposal with facts and a request, and with no certificate yet", async () => {
    const { service, credential, proposal } = await setUp();
    const answer = await service.propose(proposal, caller);
    expect(answer).toMatchObject({
      facts: { name: "west", id: 2 },
      signingRequest: expect.stringContaining("BEGIN CERTIFICATE REQUEST"),
    });
    expect(Object.keys(answer).sort()).toEqual(["facts", "signingRequest"]);
    expect(await service.check({ credential }, caller)).toEqual({
      state: "",
      reason: "",
      synced: false,
    });
    await service.cancel({ credential }, caller);
    await expect(service.check({ credential }, caller)).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("refuses an invitation that has expired", async () => {
    const { service, proposal } = await setUp();
    nowMs += 60_000;
    await expect(service.propose(proposal, caller)).rejects.toMatchObject({
      code: "permission_denied",
      message: "Cannot join: the invitation expired at 2026-01-01T00:01:00.000Z",
    });
  });

  test("refuses a joiner whose clock is wrong", async () => {
    const { service, proposal } = await setUp();
    const facts = { ...proposal.facts, nowMs: String(nowMs - 600_000) };
    await expect(service.propose({ ...proposal, facts }, caller)).rejects.toThrow(
      /The clock of cluster "east" is 600 s behind/,
    );
  });

  const unknown = ["no credential", "an empty one", "a foreign id", "a wrong secret"] as const;
  for (const name of unknown) {
    test(`knows nobody with ${name}, and does not say why`, async () => {
      const { service, credential } = await setUp();
      const forged = {
        "no credential": null,
        "an empty one": { inviteId: Buffer.alloc(0), secret: Buffer.alloc(0) },
        "a foreign id": { ...credential, inviteId: Buffer.from("../../x") },
        "a wrong secret": { ...credential, secret: Buffer.alloc(16) },
      }[name];
      await expect(service.check({ credential: forged }, caller)).rejects.toMatchObject({
        code: "unauthenticated",
        message: "Cannot join: this cluster knows no such invitation",
      });
    });
  }

  test("refuses a proposal without facts", async () => {
    const { service, proposal } = await setUp();
    await expect(service.propose({ ...proposal, facts: null }, caller)).rejects.toThrow(
      "the joining cluster says nothing",
    );
  });

  test("logs and tells no secret", async () => {
    const { service, credential, secret, proposal } = await setUp();
    const errors = await Promise.allSettled([
      service.propose({ ...proposal, signingRequest: "x" }, caller),
      service.check({ credential: { ...credential, inviteId: Buffer.alloc(8) } }, caller),
      service.confirm({ credential }, caller),
    ]);
    expect(errors.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    const said = logged + inspect(errors, { depth: 10 });
    for (const form of ["hex", "base64", "base64url"] as const) {
      expect(said).not.toContain(secret.bytes.toString(form));
    }
  });
});

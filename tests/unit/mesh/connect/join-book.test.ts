import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { ClusterAccess } from "../../../../mesh/connect/cluster-access.ts";
import { createInviteStore, type Invite } from "../../../../mesh/connect/invite-store.ts";
import {
  createJoinBook,
  KEEP_INVITE_MS,
  PROVISIONAL_LIMIT_MS,
  refuseUsed,
} from "../../../../mesh/connect/join-book.ts";
import { createClientRequest, type Proposal } from "../../../../mesh/connect/join-session.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createFactsMaker, FACTS_NOW_MS } from "../../../fakes/cluster-facts.ts";

let root = "";
let proposal: Proposal;
let calls: string[] = [];
const signal = new AbortController().signal;

beforeAll(async () => {
  const [own, joiner] = await Promise.all([
    createFactsMaker("west", 2),
    createFactsMaker("east", 1),
  ]);
  proposal = {
    own: own.make(),
    joiner: joiner.make(),
    client: await createClientRequest("west"),
    joinerRequest: (await createClientRequest("east")).request,
  };
});

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-cn-book-"));
  calls = [];
});

afterEach(() => rm(root, { recursive: true, force: true }));

/** Writes down what is asked of it; the rest is not called here. */
const access = {
  lock: () => {
    calls.push("lock");
    return Promise.resolve(() => Promise.resolve(void calls.push("unlock")));
  },
  rememberPeer: () => Promise.resolve(() => Promise.resolve(void calls.push("restore"))),
  removePeer: (name: string) => Promise.resolve(void calls.push(`remove ${name}`)),
  expelReader: (name: string) => Promise.resolve(void calls.push(`expel ${name}`)),
} as unknown as ClusterAccess;

async function setUp() {
  const clock = createFakeClock(FACTS_NOW_MS);
  const invites = createInviteStore(root);
  const create = () => createJoinBook({ access, invites, clock, log: silentLogger });
  const expiresAtMs = FACTS_NOW_MS + 900_000;
  const { id } = await invites.create({ secretHash: "00", expiresAtMs });
  const read = async (): Promise<Invite> => {
    const invite = await invites.read(id);
    if (invite === undefined) throw new Error("the invitation is gone");
    return invite;
  };
  return { clock, invites, create, read, book: create(), invite: await read() };
}

function provisional(invite: Invite, wasConnected = false): Invite {
  const untilMs = FACTS_NOW_MS + PROVISIONAL_LIMIT_MS;
  return { ...invite, use: { kind: "provisional", joiner: "east", untilMs, wasConnected } };
}

describe("createJoinBook()", () => {
  test("knows a proposal until it is put back", async () => {
    const { book, invite } = await setUp();
    expect(() => book.proposalOf(invite)).toThrow("this join is not under way any more");
    book.propose(invite, proposal);
    expect(book.proposalOf(invite)).toBe(proposal);
    await book.putBack(invite);
    expect(() => book.proposalOf(invite)).toThrow("not under way");
    expect(calls).toEqual([]);
  });

  test("puts back and opens the invitation again when a commit fails", async () => {
    const { book, invite, read } = await setUp();
    book.propose(invite, proposal);
    await expect(book.commit(invite, { certificate: "no PEM", signal })).rejects.toThrow(
      'Cannot parse certificate signed by "east"',
    );
    expect(calls).toEqual(["lock", "restore", "unlock"]);
    expect((await read()).use).toEqual({ kind: "open" });
  });

  test("confirms nothing that was not committed", async () => {
    const { book, invite } = await setUp();
    book.propose(invite, proposal);
    await expect(book.confirm(invite)).rejects.toThrow("nothing was committed");
  });

  test("takes a second confirmation for the first one's echo", async () => {
    const { book, invite } = await setUp();
    const used = { ...invite, use: { kind: "used", joiner: "east", atMs: 0 } } as const;
    await expect(book.confirm(used)).resolves.toBeUndefined();
  });

  test("after a restart puts back what ran out of time", async () => {
    const { clock, create, invite, invites, read } = await setUp();
    await invites.write(provisional(invite));
    const book = create();
    await book.sweep();
    expect(calls).toEqual([]);
    await clock.advance(PROVISIONAL_LIMIT_MS);
    await book.sweep();
    expect(calls).toEqual(["remove east", "expel east"]);
    expect((await read()).use).toEqual({ kind: "open" });
  });

  test("after a restart leaves a connection that was there before", async () => {
    const { clock, create, invite, invites, read } = await setUp();
    await invites.write(provisional(invite, true));
    await clock.advance(PROVISIONAL_LIMIT_MS);
    await create().sweep();
    expect(calls).toEqual([]);
    expect((await read()).use).toEqual({ kind: "open" });
  });

  test("forgets proposals and invitations in time", async () => {
    const { book, clock, invite, invites } = await setUp();
    book.propose(invite, proposal);
    await clock.advance(PROVISIONAL_LIMIT_MS);
    await book.sweep();
    expect(() => book.proposalOf(invite)).toThrow("not under way");
    await clock.advance(900_000 + KEEP_INVITE_MS);
    await book.sweep();
    expect(await invites.list()).toEqual([]);
  });
});

test("refuseUsed() says by whom and when", async () => {
  const { invite } = await setUp();
  const use = { kind: "used", joiner: "east", atMs: FACTS_NOW_MS } as const;
  expect(() => refuseUsed({ ...invite, use })).toThrow(
    'the invitation was used already, by "east" at 2026-01-01T00:00:00.000Z',
  );
  expect(() => refuseUsed(invite)).not.toThrow();
});

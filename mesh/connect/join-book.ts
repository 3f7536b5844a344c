// The inviting side's book of joins: which invitation is where between open and used, and how to
// put back what was written provisionally. It survives a restart through the invitations' files.
//
//   open ──propose──► proposed ──commit──► provisional ──confirm──► used
//    ▲  (nothing written)  │       (written, with undo)  │
//    └───── cancel, time ──┴──────── cancel, time ───────┘
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { Invite, InviteStore, InviteUse } from "./invite-store.ts";
import { installSide, type Proposal } from "./join-session.ts";

/** The joiner verifies for a minute at most; after two it is gone. */
export const PROVISIONAL_LIMIT_MS = 120_000;
/** A used or expired invitation is kept this long, so that trying again gets a telling answer. */
export const KEEP_INVITE_MS = 86_400_000;

export interface JoinBookOptions {
  readonly access: ClusterAccess;
  readonly invites: InviteStore;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface JoinBook {
  /** The accepted proposal of an invitation; throws `not_found` or `conflict` without one. */
  proposalOf(invite: Invite): Proposal;
  /** Remembers a proposal; a newer one takes an older one's place. */
  propose(invite: Invite, proposal: Proposal): void;
  /** Installs the joiner; returns its client certificate in PEM. */
  commit(invite: Invite, options: { certificate: string; signal: AbortSignal }): Promise<string>;
  confirm(invite: Invite): Promise<void>;
  putBack(invite: Invite): Promise<void>;
  /** Puts back what ran out of time and deletes old invitations. */
  sweep(): Promise<void>;
}

interface Session {
  readonly proposal: Proposal;
  readonly untilMs: number;
  readonly committed: Committed | undefined;
}

interface Committed {
  restore(): Promise<void>;
  unlock(): Promise<void>;
}

export function createJoinBook(options: JoinBookOptions): JoinBook {
  const { access, invites, clock, log } = options;
  const sessions = new Map<string, Session>();

  async function setUse(invite: Invite, use: InviteUse): Promise<void> {
    await invites.write({ ...invite, use });
  }

  async function putBack(invite: Invite): Promise<void> {
    const session = sessions.get(invite.id);
    sessions.delete(invite.id);
    if (session?.committed !== undefined) {
      await restoreAndUnlock(session.committed);
    } else if (invite.use.kind === "provisional" && !invite.use.wasConnected) {
      // This process was restarted in between and has forgotten what there was before; there was
      // no connection, so none is what is put back.
      await access.removePeer(invite.use.joiner);
      await access.expelReader(invite.use.joiner);
    }
    if (invite.use.kind === "provisional") await setUse(invite, { kind: "open" });
  }

  async function sweepInvite(invite: Invite): Promise<void> {
    const nowMs = clock.nowMs();
    if (invite.use.kind === "provisional") {
      if (nowMs < invite.use.untilMs) return;
      log.warn("join put back", { reason: "not confirmed in time", cluster: invite.use.joiner });
      await putBack(invite);
      return;
    }
    const session = sessions.get(invite.id);
    if (session !== undefined && nowMs >= session.untilMs) sessions.delete(invite.id);
    if (nowMs >= invite.expiresAtMs + KEEP_INVITE_MS) await invites.delete(invite.id);
  }

  return {
    proposalOf: (invite) => findSession(sessions, invite).proposal,
    propose: (invite, proposal) => {
      const untilMs = clock.nowMs() + PROVISIONAL_LIMIT_MS;
      sessions.set(invite.id, { proposal, untilMs, committed: undefined });
    },
    commit: async (invite, { certificate, signal }) => {
      const session = findSession(sessions, invite);
      const { own, joiner, joinerRequest, client } = session.proposal;
      const { name } = joiner.profile;
      const sign = async (): Promise<string> => (await access.signReader(name, joinerRequest)).pem;
      if (session.committed !== undefined) return sign(); // The first answer was lost.
      const untilMs = clock.nowMs() + PROVISIONAL_LIMIT_MS;
      const committed = await lockAndRemember(access, { peer: name, signal });
      try {
        const wasConnected = own.peers.some((peer) => peer.name === name);
        await setUse(invite, { kind: "provisional", joiner: name, untilMs, wasConnected });
        await installSide(access, {
          own,
          peer: joiner,
          client,
          certificatePem: certificate,
          clock,
          signal,
        });
        const signed = await sign();
        sessions.set(invite.id, { ...session, untilMs, committed });
        return signed;
      } catch (error) {
        await restoreAndUnlock(committed);
        await setUse(invite, { kind: "open" });
        throw error;
      }
    },
    confirm: async (invite) => {
      if (invite.use.kind === "used") return; // The first answer was lost.
      const { committed } = findSession(sessions, invite);
      if (invite.use.kind !== "provisional" || committed === undefined) {
        throw new MeshError("conflict", "Cannot confirm the join: nothing was committed");
      }
      await setUse(invite, { kind: "used", joiner: invite.use.joiner, atMs: clock.nowMs() });
      sessions.delete(invite.id);
      await committed.unlock();
      log.info("cluster joined", { cluster: invite.use.joiner });
    },
    putBack,
    sweep: async () => {
      for (const invite of await invites.list()) await sweepInvite(invite);
    },
  };
}

export function refuseUsed({ use }: Invite): void {
  if (use.kind !== "used") return;
  const when = new Date(use.atMs).toISOString();
  throw new MeshError(
    "conflict",
    `Cannot join: the invitation was used already, by "${use.joiner}" at ${when}`,
    { hint: "an invitation works once; ask for a new one" },
  );
}

function findSession(sessions: ReadonlyMap<string, Session>, invite: Invite): Session {
  const session = sessions.get(invite.id);
  if (session !== undefined) return session;
  refuseUsed(invite);
  throw new MeshError("not_found", "Cannot join: this join is not under way any more", {
    hint: "it took too long, or the other apiserver was restarted; try again",
  });
}

async function lockAndRemember(
  access: ClusterAccess,
  { peer, signal }: { peer: string; signal: AbortSignal },
): Promise<Committed> {
  const unlock = await access.lock(signal);
  try {
    return { restore: await access.rememberPeer(peer), unlock };
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function restoreAndUnlock(committed: Committed): Promise<void> {
  try {
    await committed.restore();
  } finally {
    await committed.unlock();
  }
}

// The join API's methods on the inviting side: who may call them, and what they answer. Pure of
// process concerns: no sockets, no timers; join-server.ts mounts it, join-book.ts keeps its state.
import type {
  CheckResponse,
  CredentialRequest,
  EmptyMessage,
  JoinMethods,
  ProposeRequest,
  ProposeResponse,
} from "../api/join-messages.ts";
import { MeshError } from "../core/errors.ts";
import { factsFromMessage, messageFromFacts } from "./facts-message.ts";
import type { Invite } from "./invite-store.ts";
import { InviteSecret } from "./invite-token.ts";
import { createJoinBook, refuseUsed, type JoinBook, type JoinBookOptions } from "./join-book.ts";
import { createFailureLimiter, createTurns, type FailureLimiter } from "./join-limits.ts";
import { acceptProposal } from "./join-session.ts";

/** Who calls, as far as the service needs it. */
export interface JoinCaller {
  readonly signal: AbortSignal;
  /** `address:port`. */
  readonly peer: string;
}

export interface JoinService extends JoinMethods<JoinCaller> {
  /** Puts back what ran out of time; deletes old invitations. To be called every few seconds. */
  sweep(): Promise<void>;
}

export type JoinServiceOptions = JoinBookOptions;

/** Every method proves the secret first and takes its turn: joins change files one at a time. */
export function createJoinService(options: JoinServiceOptions): JoinService {
  const book = createJoinBook(options);
  const limiter = createFailureLimiter({ nowMs: options.clock.monotonicMs });
  const turns = createTurns();
  const guarded =
    <Request extends CredentialRequest, Response>(
      answer: (request: Request, invite: Invite, caller: JoinCaller) => Promise<Response>,
    ) =>
    (request: Request, caller: JoinCaller): Promise<Response> =>
      turns(async () => {
        const invite = await authenticate(request, { ...options, limiter, caller });
        return answer(request, invite, caller);
      });
  return {
    propose: guarded((request: ProposeRequest, invite, caller) =>
      propose(request, { ...options, book, invite, signal: caller.signal }),
    ),
    commit: guarded(
      async (request: { certificate: string } & CredentialRequest, invite, caller) => {
        const { signal } = caller;
        const options = { certificate: request.certificate, signal };
        return { certificate: await book.commit(invite, options) };
      },
    ),
    check: guarded(async (_request, invite, caller): Promise<CheckResponse> => {
      const joiner = book.proposalOf(invite).joiner.profile.name;
      const peers = await options.access.readPeers(caller.signal);
      const peer = peers.find(({ name }) => name === joiner);
      return {
        state: peer?.state ?? "",
        reason: peer?.reason ?? "",
        synced: peer?.synced ?? false,
      };
    }),
    confirm: guarded(async (_request, invite) => {
      await book.confirm(invite);
      return {} satisfies EmptyMessage;
    }),
    cancel: guarded(async (_request, invite) => {
      refuseUsed(invite);
      await book.putBack(invite);
      return {} satisfies EmptyMessage;
    }),
    sweep: () => turns(() => book.sweep()),
  };
}

/** A wrong id and a wrong secret get one answer, so that ids cannot be found by trying. */
async function authenticate(
  request: CredentialRequest,
  options: JoinServiceOptions & { limiter: FailureLimiter; caller: JoinCaller },
): Promise<Invite> {
  const { limiter } = options;
  const address = options.caller.peer.replace(/:\d+$/, "");
  limiter.check(address);
  const { inviteId, secret } = request.credential ?? {};
  const id = Buffer.from(inviteId ?? []).toString("hex");
  const invite = await options.invites.read(id);
  const matches = new InviteSecret(secret ?? Buffer.alloc(0)).matchesHash(invite?.secretHash ?? "");
  if (invite !== undefined && matches) return invite;
  limiter.countFailure(address);
  options.log.warn("join refused", { reason: "unknown invitation", peer: address });
  throw new MeshError("unauthenticated", "Cannot join: this cluster knows no such invitation", {
    hint: "it may have been deleted; ask for a new one: `mesh invite` in the other cluster",
  });
}

async function propose(
  request: ProposeRequest,
  options: JoinServiceOptions & { book: JoinBook; invite: Invite; signal: AbortSignal },
): Promise<ProposeResponse> {
  const { access, book, clock, invite, signal } = options;
  refuseUsed(invite);
  refuseExpired(invite, clock.nowMs());
  if (invite.use.kind === "provisional") {
    throw new MeshError("conflict", "Cannot join: the invitation is being used right now", {
      hint: "try again in two minutes",
    });
  }
  if (request.facts === null) {
    throw new MeshError("invalid_argument", "Cannot join: the joining cluster says nothing");
  }
  const context = `the joining cluster "${request.facts.name.slice(0, 64)}"`;
  const joiner = factsFromMessage(request.facts, { context, nowMs: clock.nowMs() });
  const { signingRequest } = request;
  const proposal = await acceptProposal(access, { joiner, signingRequest, signal });
  book.propose(invite, proposal);
  return {
    facts: messageFromFacts(proposal.own, clock.nowMs()),
    signingRequest: proposal.client.request.pem,
  };
}

function refuseExpired({ expiresAtMs }: Invite, nowMs: number): void {
  if (nowMs < expiresAtMs) return;
  throw new MeshError(
    "permission_denied",
    `Cannot join: the invitation expired at ${new Date(expiresAtMs).toISOString()}`,
    { hint: "ask for a new one: `mesh invite` in the other cluster" },
  );
}

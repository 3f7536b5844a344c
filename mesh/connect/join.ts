// The joining side: with a token and access to its own cluster only, connects it with the cluster
// that invited. Runs the same checks and writes the same files as connect.ts; every failure puts
// both sides back.
import { parseSigningRequest } from "../../pki/signing-request.ts";
import { bundleFingerprints } from "../../pki/bundle.ts";
import { formatDate } from "../../pki/certificate.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { createJoinClient, type JoinClient } from "../api/join-client.ts";
import type { CredentialMessage, ProposeResponse } from "../api/join-messages.ts";
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import { runUndoable } from "./apply.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { ClusterFacts, PeerStatusReader } from "./cluster-facts.ts";
import { withLocks } from "./connect.ts";
import { factsFromMessage, messageFromFacts } from "./facts-message.ts";
import type { InviteToken } from "./invite-token.ts";
import { createClientRequest, installSide, knownBundle, refuseErrors } from "./join-session.ts";
import { fetchPinnedAuthority } from "./pinned-authority.ts";
import { verifyConnected } from "./verify.ts";

export interface JoinOptions {
  readonly access: ClusterAccess;
  readonly clock: Clock;
  /** A line for a person. */
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
  readonly verifyLimitMs?: number;
}

export interface JoinResult {
  readonly cluster: string;
  readonly peer: string;
}

/** How often a confirmation is tried: its answer may be lost when the work is already done. */
const CONFIRM_ATTEMPTS = 3;
const CONFIRM_PAUSE_MS = 1_000;

export async function joinCluster(token: InviteToken, options: JoinOptions): Promise<JoinResult> {
  const { access, clock, signal } = options;
  refuseExpired(token, clock.nowMs());
  return withLocks([access], signal, async () => {
    const own = await access.readFacts(signal);
    refuseSelf(token, own);
    refuseErrors([own]);
    const client = await openClient(token, options);
    try {
      return await runUndoable((undo) =>
        join({ ...options, token, own, client, remember: undo.remember }),
      );
    } finally {
      client.close();
    }
  });
}

interface JoinContext extends JoinOptions {
  readonly token: InviteToken;
  readonly own: ClusterFacts;
  readonly client: JoinClient;
  readonly remember: (undo: () => Promise<void>) => void;
}

async function join(context: JoinContext): Promise<JoinResult> {
  const { access, client, clock, onProgress, own, signal, token } = context;
  const credential = credentialOf(token);
  const request = await createClientRequest(own.profile.name);
  onProgress(`asking "${token.cluster.name}" to let "${own.profile.name}" join`);
  const facts = messageFromFacts(own, clock.nowMs());
  const signingRequest = request.request.pem;
  const answer = await client.propose({ credential, facts, signingRequest }, signal);
  const peer = judgeAnswer(answer, context);
  const certificate = await access.signReader(
    peer.profile.name,
    parseSigningRequest(answer.signingRequest),
  );
  // From here on both sides write, and both put back.
  context.remember(() => cancelQuietly(context, credential));
  context.remember(await access.rememberPeer(peer.profile.name));
  onProgress(`connecting "${own.profile.name}" with "${peer.profile.name}"`);
  // Both admit before either is told to come, so that nobody meets a closed door first.
  await access.admitReader(peer.profile.name);
  const committed = await client.commit({ credential, certificate: certificate.pem }, signal);
  const certificatePem = committed.certificate;
  await installSide(access, { own, peer, client: request, certificatePem, clock, signal });
  await verify(context, { credential, peer: peer.profile.name });
  await confirm(context, credential);
  return { cluster: own.profile.name, peer: peer.profile.name };
}

/** Whether it is the cluster of the token that answered, and fits together with ours. */
function judgeAnswer(answer: ProposeResponse, context: JoinContext): ClusterFacts {
  const { clock, own, token } = context;
  const named = `the inviting cluster "${token.cluster.name}"`;
  if (answer.facts === null) {
    throw new MeshError("invalid_argument", `Cannot join: ${named} says nothing about itself`);
  }
  const peer = factsFromMessage(answer.facts, { context: named, nowMs: clock.nowMs() });
  const { name, id } = peer.profile;
  if (name !== token.cluster.name || id !== token.cluster.id) {
    throw new MeshError(
      "unauthenticated",
      `Cannot join: the token is for "${token.cluster.name}" (id ${token.cluster.id}), but "${name}" (id ${id}) answers`,
    );
  }
  if (!bundleFingerprints(peer.bundle).includes(token.caFingerprint)) {
    throw new MeshError(
      "unauthenticated",
      `Cannot join: ${named} names other certificate authorities than its token`,
    );
  }
  const known = knownBundle(own, name);
  if (known !== undefined && !bundleFingerprints(known).includes(token.caFingerprint)) {
    throw new MeshError(
      "unauthenticated",
      `Cannot join: "${own.profile.name}" knows "${name}" already, under another certificate authority`,
      { hint: `if "${name}" was set up anew, disconnect the old one first: mesh disconnect` },
    );
  }
  refuseErrors([own, peer]);
  return peer;
}

/**
 * Tries the endpoints of the token one after another: in a Kubernetes cluster only one of the nodes
 * has the apiserver. Throws the only error, or one that names them all.
 */
async function openClient(token: InviteToken, options: JoinOptions): Promise<JoinClient> {
  const { clock, signal } = options;
  const serverName = meshServerName(token.cluster.name);
  const { caFingerprint } = token;
  const failures: unknown[] = [];
  for (const endpoint of token.joinEndpoints) {
    try {
      const pin = { endpoint, serverName, caFingerprint, clock };
      const { authorities } = await fetchPinnedAuthority(pin, signal);
      const trustBundle = authorities.map(({ pem }) => pem).join("");
      return createJoinClient({ endpoint, serverName, trustBundle, clock });
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  throw new MeshError(
    "unavailable",
    `Cannot reach "${token.cluster.name}" at any address of the token: ${failures.map(messageFromError).join("; ")}`,
    { hint: "does its apiserver run, and can its nodes be reached from here?" },
  );
}

async function verify(
  context: JoinContext,
  { credential, peer }: { credential: CredentialMessage; peer: string },
): Promise<void> {
  const { access, client, clock, onProgress, own, signal, verifyLimitMs } = context;
  const { name } = own.profile;
  const theirs: PeerStatusReader = {
    readPeers: async (inner) => {
      const status = await client.check({ credential }, inner);
      if (status.state === "") return [];
      const unknown = { id: 0, heartbeatAgeSeconds: -1, reconnections: 0, kinds: [] };
      return [{ ...unknown, ...status, name }];
    },
  };
  await verifyConnected(
    [
      { reader: name, peer, status: access },
      { reader: peer, peer: name, status: theirs },
    ],
    {
      clock,
      onProgress: (lines) => {
        for (const line of lines) onProgress(line);
      },
      signal,
      ...(verifyLimitMs === undefined ? {} : { limitMs: verifyLimitMs }),
    },
  );
}

async function confirm(context: JoinContext, credential: CredentialMessage): Promise<void> {
  const { client, clock, signal, token } = context;
  for (let attempt = 1; ; attempt++) {
    try {
      await client.confirm({ credential }, signal);
      return;
    } catch (cause) {
      const again = isMeshError(cause, "unavailable") || isMeshError(cause, "deadline_exceeded");
      if (again && attempt < CONFIRM_ATTEMPTS) {
        await clock.sleep(CONFIRM_PAUSE_MS, signal);
        continue;
      }
      throw new MeshError("unavailable", "Cannot confirm the join", {
        cause,
        hint: `this side was put back; if "${token.cluster.name}" still shows the connection in \`mesh status\`, disconnect it there`,
      });
    }
  }
}

/** The other side puts back by itself when time runs out: failing to ask for it is no failure. */
async function cancelQuietly(context: JoinContext, credential: CredentialMessage): Promise<void> {
  try {
    await context.client.cancel({ credential }, new AbortController().signal);
  } catch {
    const { name } = context.token.cluster;
    context.onProgress(`"${name}" could not be told; it puts its side back within two minutes`);
  }
}

function credentialOf(token: InviteToken): CredentialMessage {
  return { inviteId: Buffer.from(token.inviteId, "hex"), secret: token.secret.bytes };
}

function refuseExpired({ expiresAtMs }: InviteToken, nowMs: number): void {
  if (nowMs < expiresAtMs) return;
  throw new MeshError(
    "permission_denied",
    `Cannot use the token: it expired at ${formatDate(expiresAtMs)}; it is now ${formatDate(nowMs)}`,
    { hint: "ask for a new one: `mesh invite` in the other cluster" },
  );
}

function refuseSelf(token: InviteToken, own: ClusterFacts): void {
  if (token.cluster.name !== own.profile.name) return;
  const itself = bundleFingerprints(own.bundle).includes(token.caFingerprint);
  throw new MeshError(
    "conflict",
    itself
      ? `Cannot use the token: it is an invitation of "${own.profile.name}" itself`
      : `Cannot use the token: the inviting cluster is called "${own.profile.name}", as this one is`,
    { hint: "use it in another cluster: mesh join TOKEN --context OTHER" },
  );
}

// Making an invitation: an open entry in the cluster's invite store and the token that fits it.
import { MeshError } from "../core/errors.ts";
import type { ClusterIdentity } from "../core/cluster.ts";
import type { Certificate } from "../../pki/certificate.ts";
import { createInviteSecret, MAX_JOIN_ENDPOINTS, type InviteToken } from "./invite-token.ts";
import type { InviteStore } from "./invite-store.ts";

/** Long enough to paste it into a chat and run a command, too short to lie around. */
export const INVITE_TTL_DEFAULT_MS = 15 * 60_000;
const INVITE_TTL_MIN_MS = 60_000;
const INVITE_TTL_MAX_MS = 24 * 60 * 60_000;

const TTL = /^([1-9]\d{0,4})([smh])$/;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** What an invitation says of the cluster that invites. */
export interface Inviter {
  readonly cluster: ClusterIdentity;
  /** `ADDRESS:PORT`, the likeliest first; an invitation holds the first few. */
  readonly joinEndpoints: readonly string[];
  readonly authority: Certificate;
}

export async function createInvite(options: {
  readonly inviter: Inviter;
  readonly invites: InviteStore;
  readonly ttlMs: number;
  readonly nowMs: number;
}): Promise<InviteToken> {
  const { invites, ttlMs, nowMs } = options;
  const { cluster, joinEndpoints, authority } = options.inviter;
  const secret = createInviteSecret();
  const expiresAtMs = Math.floor((nowMs + ttlMs) / 1000) * 1000;
  const invite = await invites.create({ secretHash: secret.hash, expiresAtMs });
  const { name, id, maxConnectedClusters } = cluster;
  return {
    cluster: { name, id, maxConnectedClusters },
    joinEndpoints: joinEndpoints.slice(0, MAX_JOIN_ENDPOINTS),
    caFingerprint: authority.fingerprint,
    inviteId: invite.id,
    secret,
    expiresAtMs,
  };
}

/** "90s", "15m", "1h". Throws `invalid_argument` outside one minute to one day. */
export function parseInviteTtl(text: string): number {
  const match = TTL.exec(text);
  const ms = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ""] ?? Number.NaN);
  if (ms >= INVITE_TTL_MIN_MS && ms <= INVITE_TTL_MAX_MS) return ms;
  throw new MeshError(
    "invalid_argument",
    `Cannot use ${JSON.stringify(text)} as time to live: want 60s to 24h, such as "15m"`,
  );
}

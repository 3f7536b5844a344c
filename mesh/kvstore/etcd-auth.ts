// Users and roles of a cluster's etcd (reference §1.12): who may read what, by the common name
// of a client certificate. Idempotent: it makes what is missing, corrects what differs, removes
// remote users that are no longer wanted, and switches authentication on last.
//
// No user has a password, so nobody can log in without a certificate. It works when
// authentication is on already, with a certificate of an admin.
import { isMeshError } from "../core/errors.ts";
import { createEtcdConnection, type EtcdConnectionOptions } from "./etcd-connection.ts";
import { rangeEndOfPrefix } from "./etcd-list.ts";
import { clusterConfigKey, CLUSTER_CONFIG_PREFIX, HEARTBEAT_KEY, SYNCED_PREFIX } from "./keys.ts";
import { CACHE_PREFIX, STATE_PREFIX, syncedWatchPrefix, TOMBOLO_STATE_PREFIX } from "./keys.ts";

export interface EtcdUser {
  readonly name: string;
  readonly role: string;
}

export interface EtcdRole {
  readonly name: string;
  /** Key ranges that its users may read; nobody but root writes. */
  readonly reads: readonly KeyRange[];
}

export interface KeyRange {
  readonly key: string;
  /** Everything below `key`, not `key` alone. */
  readonly prefix: boolean;
}

export interface EtcdAuthOptions extends EtcdConnectionOptions {
  readonly cluster: string;
  /** Clusters whose `remote-<cluster>` users are to be there; all others are removed. */
  readonly remotes: readonly string[];
}

const ROOT = "root";
const LOCAL_ROLE = "local";
const REMOTE_ROLE = "remote";
const CALL_TIMEOUT_MS = 10_000;

export function remoteUserName(cluster: string): string {
  return `remote-${cluster}`;
}

/** What is to be there, besides root. Pure. */
export function planAuth({ cluster, remotes }: { cluster: string; remotes: readonly string[] }): {
  readonly roles: readonly EtcdRole[];
  readonly users: readonly EtcdUser[];
} {
  const below = (key: string): KeyRange => ({ key, prefix: true });
  // A range, although it is one key: Cilium's readers watch it as a prefix.
  const heartbeat = below(HEARTBEAT_KEY);
  return {
    roles: [
      {
        name: LOCAL_ROLE,
        // Agents read their own cluster's exports as well, which Cilium's do not.
        reads: [
          heartbeat,
          below(`${CACHE_PREFIX}/`),
          below(CLUSTER_CONFIG_PREFIX),
          below(SYNCED_PREFIX),
          below(`${STATE_PREFIX}/`),
          below("tombolo/"),
        ],
      },
      {
        name: REMOTE_ROLE,
        // Never the cache: what third clusters told us is not ours to tell.
        reads: [
          heartbeat,
          below(`${STATE_PREFIX}/`),
          { key: clusterConfigKey(cluster), prefix: false },
          below(syncedWatchPrefix(cluster)),
          below(`${TOMBOLO_STATE_PREFIX}/`),
        ],
      },
    ],
    users: [
      { name: `admin-${cluster}`, role: ROOT },
      { name: `local-${cluster}`, role: LOCAL_ROLE },
      ...remotes.map((remote) => ({ name: remoteUserName(remote), role: REMOTE_ROLE })),
    ],
  };
}

/** Makes the etcd's users and roles what they have to be, and switches authentication on. */
export async function applyAuth(options: EtcdAuthOptions, signal: AbortSignal): Promise<void> {
  const connection = createEtcdConnection(options);
  const ask: Ask = (method, request) =>
    connection.call(
      {
        service: "Auth",
        method,
        request,
        timeoutMs: CALL_TIMEOUT_MS,
        doing: `set up etcd users (${method})`,
      },
      signal,
    );
  try {
    const plan = planAuth(options);
    await ensureRole(ask, { name: ROOT, reads: [] });
    await ensureUser(ask, { name: ROOT, role: ROOT });
    for (const role of plan.roles) await ensureRole(ask, role);
    for (const user of plan.users) await ensureUser(ask, user);
    await removeSurplusRemotes(ask, plan.users);
    await ask("authEnable", {}); // Succeeds as well when it is on.
  } finally {
    connection.close();
  }
}

type Ask = <Response>(method: string, request: object) => Promise<Response>;

async function ensureRole(ask: Ask, role: EtcdRole): Promise<void> {
  await unlessThere(ask("roleAdd", { name: role.name }));
  if (role.name === ROOT) return; // Needs no permission: etcd lets root do anything.
  const { perm } = await ask<{
    perm: readonly { permType: string; key: Buffer; range_end: Buffer }[];
  }>("roleGet", { role: role.name });
  const wanted = new Map(role.reads.map((range) => [rangeText(encodeRange(range)), range]));
  for (const { permType, key, range_end } of perm) {
    const text = rangeText({ key, range_end });
    if (permType === "Read" && wanted.delete(text)) continue;
    await ask("roleRevokePermission", { role: role.name, key, range_end });
  }
  for (const range of wanted.values())
    await ask("roleGrantPermission", {
      name: role.name,
      perm: { permType: "Read", ...encodeRange(range) },
    });
}

async function ensureUser(ask: Ask, user: EtcdUser): Promise<void> {
  await unlessThere(ask("userAdd", { name: user.name, options: { no_password: true } }));
  const { roles } = await ask<{ roles: readonly string[] }>("userGet", { name: user.name });
  if (!roles.includes(user.role)) await ask("userGrantRole", { user: user.name, role: user.role });
  for (const role of roles)
    if (role !== user.role) await ask("userRevokeRole", { name: user.name, role });
}

async function removeSurplusRemotes(ask: Ask, wanted: readonly EtcdUser[]): Promise<void> {
  const names = new Set(wanted.map(({ name }) => name));
  const { users } = await ask<{ users: readonly string[] }>("userList", {});
  for (const name of users)
    if (name.startsWith(remoteUserName("")) && !names.has(name)) await ask("userDelete", { name });
}

async function unlessThere(adding: Promise<unknown>): Promise<void> {
  try {
    await adding;
  } catch (error) {
    // That it is there already is what was wanted.
    if (!isMeshError(error, "already_exists")) throw error;
  }
}

function encodeRange({ key, prefix }: KeyRange): { key: Buffer; range_end: Buffer } {
  // In a permission, unlike in a range, an empty end means the key alone.
  const end = rangeEndOfPrefix(key, !prefix) ?? Buffer.alloc(0);
  return { key: Buffer.from(key), range_end: end };
}

function rangeText({ key, range_end }: { key: Buffer; range_end: Buffer }): string {
  return `${key.toString("hex")}-${range_end.toString("hex")}`;
}

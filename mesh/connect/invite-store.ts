// Invitations that a cluster has given out, one file each below `invites/`. A file holds a hash of
// the secret, never the secret, and what became of the invitation.
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { MeshError } from "../core/errors.ts";
import { INVITE_ID_BYTES } from "./invite-token.ts";

export interface Invite {
  /** Hexadecimal. */
  readonly id: string;
  /** Hexadecimal SHA-256. */
  readonly secretHash: string;
  readonly expiresAtMs: number;
  readonly use: InviteUse;
}

export type InviteUse =
  | { readonly kind: "open" }
  /** Written for `joiner`, and to be put back unless it confirms before `untilMs`. */
  | {
      readonly kind: "provisional";
      readonly joiner: string;
      readonly untilMs: number;
      /** There was a connection before, which the joiner repairs. */
      readonly wasConnected: boolean;
    }
  | { readonly kind: "used"; readonly joiner: string; readonly atMs: number };

export interface InviteStore {
  create(options: { secretHash: string; expiresAtMs: number }): Promise<Invite>;
  /** undefined if there is none of that id. */
  read(id: string): Promise<Invite | undefined>;
  list(): Promise<readonly Invite[]>;
  write(invite: Invite): Promise<void>;
  delete(id: string): Promise<void>;
}

const ID = new RegExp(`^[0-9a-f]{${INVITE_ID_BYTES * 2}}$`);
/** More open doors than anybody looks after; also bounds what the join API must scan. */
const MAX_INVITES = 100;

/** `root` is the cluster directory. */
export function createInviteStore(root: string): InviteStore {
  const directory = join(root, "invites");
  const pathOf = (id: string): string => join(directory, `${id}.json`);
  const store: InviteStore = {
    create: async (options) => {
      refuseTooMany(await store.list(), `remove some of the files below "${directory}"`);
      const invite = openInvite(options);
      await store.write(invite);
      return invite;
    },
    read: async (id) => (isInviteId(id) ? readInvite(pathOf(id)) : undefined),
    list: async () => {
      const ids = (await readNames(directory)).map((name) => name.replace(/\.json$/, ""));
      const invites = await Promise.all(ids.filter(isInviteId).map((id) => store.read(id)));
      return invites.filter((invite) => invite !== undefined);
    },
    write: (invite) =>
      writeFileAtomic(pathOf(invite.id), `${JSON.stringify(invite, null, 2)}\n`, {
        mode: SECRET_FILE_MODE,
      }),
    delete: (id) => rm(pathOf(id), { force: true }),
  };
  return store;
}

/** An open invitation with an id of its own. */
export function openInvite(options: { secretHash: string; expiresAtMs: number }): Invite {
  const id = randomBytes(INVITE_ID_BYTES).toString("hex");
  return { id, ...options, use: { kind: "open" } };
}

/** Throws `resource_exhausted` with the hint. */
export function refuseTooMany(invites: readonly Invite[], hint: string): void {
  if (invites.length < MAX_INVITES) return;
  throw new MeshError(
    "resource_exhausted",
    `Cannot invite: ${MAX_INVITES} invitations of this cluster are open or were used today`,
    { hint },
  );
}

export function isInviteId(id: string): boolean {
  return ID.test(id);
}

async function readNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function readInvite(path: string): Promise<Invite | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return parseInvite(text, `"${path}"`);
}

/** `name` only appears in messages. Throws `data_loss`. */
export function parseInvite(text: string, name: string): Invite {
  try {
    const invite = JSON.parse(text) as Partial<Invite>;
    const { id, secretHash, expiresAtMs, use } = invite;
    if (id !== undefined && secretHash !== undefined && expiresAtMs !== undefined && use) {
      return { id, secretHash, expiresAtMs, use };
    }
  } catch (cause) {
    throw new MeshError("data_loss", `Cannot read invitation ${name}`, { cause });
  }
  throw new MeshError("data_loss", `Cannot read invitation ${name}: fields are missing`);
}

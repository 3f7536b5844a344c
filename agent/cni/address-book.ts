// Which addresses of the node are taken, as files. There is no lock and so nothing that a killed
// plugin can leave locked: taking an address is one rename(2) that fails when another has it,
// giving it back is one unlink(2) that succeeds once, and any number of plugins may do both.
//
//   address-book/
//     BOOT_ID/            pods do not survive a restart of the machine, nor does their book
//       10.1.1.5/         taken: holds its owner's record
//         OWNER.json
//       10.1.1.9/         empty: was taken, is free; its time says since when
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addressInPrefix, type Address, type Prefix } from "../../mesh/core/address.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { pairNames, type PairNames } from "./wiring.ts";

/**
 * Addresses considered in one prefix. Kubernetes is built for 110 pods a node, large nodes run
 * 500; more than this would only make the search in a full prefix slow.
 */
const CANDIDATES_MAX = 4096;
/** Begins the name of a directory that is being made, before its owner's; never an address. */
const UNFINISHED = ".new-";

export interface AddressRecord {
  readonly address: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  /** For people who read the book. */
  readonly pod: string;
  /** Under which the datapath's maps stand, for a DEL when the node's file is gone. */
  readonly bpfRoot: string;
  /** The interface if another plugin made it; ours follow from the container. */
  readonly pair?: PairNames;
}

export type AddressOwner = Omit<AddressRecord, "address">;

export interface AddressBook {
  /** A free address of the first prefix that has one; `resource_exhausted` when none has. */
  take(request: {
    readonly prefixes: readonly Prefix[];
    readonly excluded: readonly Address[];
    readonly owner: AddressOwner;
  }): Promise<AddressRecord>;
  /** Giving back what its owner does not have is success. */
  giveBack(record: AddressRecord): Promise<void>;
  list(): Promise<AddressRecord[]>;
  /** Removes what a killed `take` of this owner has left; not while one is under way. */
  clear(owner: Pick<AddressOwner, "containerId" | "ifName">): Promise<void>;
}

/** Both ends of the interface that an address belongs to. */
export function pairOfRecord(
  record: Pick<AddressRecord, "pair" | "containerId" | "ifName">,
): PairNames {
  return record.pair ?? pairNames(record.containerId, record.ifName);
}

/** Opens the book of this boot, makes it if needed, and throws those of earlier boots away. */
export async function openAddressBook(
  directory: string,
  options: { bootId: string; uniqueName: string },
): Promise<AddressBook> {
  const root = join(directory, options.bootId);
  await mkdir(root, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    if (name !== options.bootId) await rm(join(directory, name), { recursive: true, force: true });
  }
  return {
    take: (request) => {
      const name = `${UNFINISHED}${ownerName(request.owner)}-${options.uniqueName}`;
      return take({ root, unfinished: join(root, name) }, request);
    },
    async giveBack(record) {
      await ignoreMissing(unlink(join(root, record.address, `${ownerName(record)}.json`)));
    },
    async list() {
      const entries = await listAddresses(root);
      const records = await Promise.all(
        entries.map(({ address, owners }) =>
          Promise.all(owners.map((owner) => readRecord(join(root, address, owner)))),
        ),
      );
      return records.flat().flatMap((record) => record ?? []);
    },
    async clear(owner) {
      const left = (await readdir(root)).filter((name) =>
        name.startsWith(UNFINISHED + ownerName(owner)),
      );
      for (const name of left) await rm(join(root, name), { recursive: true, force: true });
    },
  };
}

async function take(
  { root, unfinished }: { root: string; unfinished: string },
  { prefixes, excluded, owner }: Parameters<AddressBook["take"]>[0],
): Promise<AddressRecord> {
  const out = new Set(excluded.map(({ text }) => text));
  const entries = await listAddresses(root);
  const taken = new Set(entries.filter(({ owners }) => owners.length > 0).map(toAddress));
  const freedAtMs = new Map(
    entries
      .filter(({ owners }) => owners.length === 0)
      .map((item) => [item.address, item.changedMs]),
  );
  for (const prefix of prefixes) {
    for (const address of candidates(prefix, freedAtMs)) {
      if (out.has(address) || taken.has(address)) continue;
      const record = { address, ...owner };
      // Another plugin may have been faster since the directory was read.
      if (await claim({ root, unfinished, record })) return record;
    }
  }
  throw new MeshError(
    "resource_exhausted",
    `Cannot give pod an address: all of ${prefixes.map(({ text }) => text).join(", ")} are taken`,
    { hint: "delete pods, or give the node a larger pod prefix" },
  );
}

/** Whether the address is ours now. Its record is complete before the address is taken. */
async function claim(request: {
  readonly root: string;
  readonly unfinished: string;
  readonly record: AddressRecord;
}): Promise<boolean> {
  const { root, unfinished, record } = request;
  await mkdir(unfinished, { mode: 0o700 });
  try {
    const path = join(unfinished, `${ownerName(record)}.json`);
    await writeFile(path, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    // Takes the place of an empty directory, never that of one with an owner in it.
    await rename(unfinished, join(root, record.address));
    return true;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

/** Never used ones in their order, then used ones, the one that is free longest first. */
function* candidates(prefix: Prefix, freedAtMs: ReadonlyMap<string, number>): Iterable<string> {
  const size = 1n << BigInt(prefix.bytes.length * 8 - prefix.length);
  // The first address names the prefix (IPv6: its routers, RFC 4291 section 2.6.1), the last one
  // of IPv4 is for broadcast; prefixes of one or two addresses have neither (RFC 3021).
  const first = size <= 2n ? 0n : 1n;
  const last = size <= 2n || prefix.family === 6 ? size - 1n : size - 2n;
  const end = last - first < BigInt(CANDIDATES_MAX) ? last : first + BigInt(CANDIDATES_MAX) - 1n;
  const again: string[] = [];
  for (let index = first; index <= end; index++) {
    const { text } = addressInPrefix(prefix, index);
    if (freedAtMs.has(text)) again.push(text);
    else yield text;
  }
  yield* again.sort((a, b) => (freedAtMs.get(a) ?? 0) - (freedAtMs.get(b) ?? 0));
}

interface AddressEntry {
  readonly address: string;
  readonly owners: readonly string[];
  /** When an owner last came or went. */
  readonly changedMs: number;
}

async function listAddresses(root: string): Promise<AddressEntry[]> {
  const names = (await readdir(root)).filter((name) => !name.startsWith(UNFINISHED));
  const entries = await Promise.all(
    names.map(async (address) => {
      const path = join(root, address);
      const [owners, { mtimeMs: changedMs }] = await Promise.all([readdir(path), stat(path)]);
      return { address, owners, changedMs };
    }),
  );
  return entries;
}

function toAddress({ address }: AddressEntry): string {
  return address;
}

/** Container ids may be longer than file names. */
function ownerName({ containerId, ifName }: Pick<AddressOwner, "containerId" | "ifName">): string {
  return createHash("sha256").update(`${containerId} ${ifName}`).digest("hex");
}

async function readRecord(path: string): Promise<AddressRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as AddressRecord;
  } catch (error) {
    // Given back since the directory was read.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MeshError("data_loss", `Cannot read address record "${path}"`, { cause: error });
  }
}

async function ignoreMissing(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

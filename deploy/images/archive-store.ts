// The folder of finished archives (build/images): what is there under its final name is whole,
// because everything is made in a work folder and renamed. One process builds at a time; what an
// earlier one left half done is removed by the next.
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join, resolve } from "node:path";
import { throwIfAborted, type Clock } from "../../mesh/core/clock.ts";

export interface ArchiveStore {
  /** Path of a finished file or folder; undefined while there is none. Marks it as used now. */
  find(name: string): Promise<string | undefined>;
  /** Runs `make`, which writes the file at the path it is given, unless the file is there. */
  ensure(name: string, make: (path: string, work: string) => Promise<void>): Promise<string>;
  /** Removes all files of a kind ("tombolo-") but those that were used last. */
  keepNewest(prefix: string, count: number): Promise<void>;
}

const WORK_PREFIX = "work-";
const LOCK_POLL_MS = 200;
/** A file system may still be busy with what the kernel has just ended. */
const REMOVE_RETRIES = 10;

export function createArchiveStore(options: {
  readonly directory: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called once while another process builds. */
  readonly onWait: () => void;
}): ArchiveStore {
  const { directory, clock } = options;
  const find = async (name: string): Promise<string | undefined> => {
    const path = join(directory, name);
    const seconds = clock.nowMs() / 1_000;
    return utimes(path, seconds, seconds).then(
      () => path,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      },
    );
  };
  return {
    find,
    ensure: async (name, make) => {
      const before = await find(name);
      if (before !== undefined) return before;
      await mkdir(directory, { recursive: true });
      return withBuildLock(options, async () => {
        const meanwhile = await find(name);
        if (meanwhile !== undefined) return meanwhile;
        await removeLeftovers(directory);
        const work = await mkdtemp(join(directory, WORK_PREFIX));
        try {
          const made = join(work, "made");
          await make(made, work);
          await rename(made, join(directory, name));
          return join(directory, name);
        } finally {
          await remove(work);
        }
      });
    },
    keepNewest: async (prefix, count) => {
      const names = (await readdir(directory)).filter((name) => isOfKind(name, prefix));
      const files = await Promise.all(
        names.map(async (name) => ({ name, usedMs: (await stat(join(directory, name))).mtimeMs })),
      );
      const old = files.sort((a, b) => b.usedMs - a.usedMs).slice(count);
      await Promise.all(old.map(({ name }) => remove(join(directory, name))));
    },
  };
}

/** PREFIX and a hash: "tombolo-" is no prefix of "tombolo-lab-0123.tar". */
function isOfKind(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && /^[0-9a-f]+(\.tar)?$/.test(name.slice(prefix.length));
}

async function removeLeftovers(directory: string): Promise<void> {
  const left = (await readdir(directory)).filter((name) => name.startsWith(WORK_PREFIX));
  for (const name of left) await remove(join(directory, name));
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
}

/** An abstract unix socket: the kernel takes it back when its process ends, however it ends. */
async function withBuildLock<T>(
  { directory, clock, signal, onWait }: Parameters<typeof createArchiveStore>[0],
  work: () => Promise<T>,
): Promise<T> {
  let lock = await tryLock(directory);
  if (lock === undefined) onWait();
  while (lock === undefined) {
    await clock.sleep(LOCK_POLL_MS, signal);
    lock = await tryLock(directory);
  }
  const held = lock;
  try {
    throwIfAborted(signal);
    return await work();
  } finally {
    await new Promise((done) => held.close(done));
  }
}

function tryLock(directory: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((done, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") done(undefined);
      else reject(error);
    });
    server.listen(`\0tombolo-images-${resolve(directory)}`, () => done(server));
  });
}

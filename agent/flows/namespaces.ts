// A sock_diag socket for the network namespace of every pod of the node, opened when the pod comes
// and closed when it goes, so that nothing has to be entered or found when flows must be ended.
//
// An open socket keeps its namespace, and the pod's interface with it, from going away. So besides
// looking into the address book, every held namespace is looked at often: once its path leads
// nowhere, or to another namespace, the socket is closed.
import { stat } from "node:fs/promises";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { AddressBook, AddressRecord } from "../cni/address-book.ts";
import { createDiagSocket, type DiagSocket } from "./diag-socket.ts";
import type { OpenedNamespace } from "./open-namespaces.ts";

/**
 * Kubernetes is built for 110 pods a node, large nodes run 500; each namespace costs a descriptor,
 * and this is half of what a process may have open by the usual limit of 1,024 at the least.
 */
export const NAMESPACES_MAX = 512;
/** How long a pod's namespace may outlive its pod for our sake. */
const GONE_INTERVAL_MS = 2_000;
/** The book is read again at every n-th look although nobody said that it has changed. */
const LOOKS_A_READING = 15;

export interface HeldNamespace {
  /** For messages: "" for the node's own. */
  readonly path: string;
  readonly pod: string;
  readonly sockets: DiagSocket;
}

export interface NamespacesStatus {
  /** Pods' namespaces that are followed. */
  readonly followed: number;
  /** Path → why it is not followed; "" stands for the node's own. */
  readonly failed: ReadonlyMap<string, string>;
}

export interface Namespaces {
  /** The node's own first; nothing once it is closed. */
  held(): readonly HeldNamespace[];
  status(): NamespacesStatus;
  /** Reads the address book, opens what is new, closes what is gone. One call at a time. */
  follow(): Promise<void>;
  /** Closes what is gone, without reading the book. */
  closeGone(): Promise<void>;
  /** Resolves when the signal aborts, with everything closed. */
  run(signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface NamespacesOptions {
  readonly book: Pick<AddressBook, "list">;
  /** Ends when pods have come, or when the signal aborts; for as long as it takes otherwise. */
  readonly podsCame: (signal: AbortSignal) => AsyncIterable<unknown>;
  readonly openOwn: () => DiagSocket;
  readonly open: (paths: readonly string[]) => Promise<readonly OpenedNamespace[]>;
  readonly maximum?: number;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Held extends HeldNamespace {
  readonly identity: string;
}

export function createNamespaces(options: NamespacesOptions): Namespaces {
  const { book, clock, log } = options;
  const maximum = options.maximum ?? NAMESPACES_MAX;
  let own: HeldNamespace | undefined;
  const held = new Map<string, Held>();
  let failed = new Map<string, string>();
  let closed = false;

  function drop(path: string): void {
    held.get(path)?.sockets.close();
    held.delete(path);
  }

  async function closeGone(): Promise<void> {
    await Promise.all(
      [...held].map(async ([path, { identity }]) => {
        if ((await identityOf(path)) !== identity) drop(path);
      }),
    );
  }

  function keep(record: AddressRecord, opened: OpenedNamespace): void {
    const { netns: path, pod } = record;
    if ("problem" in opened) {
      if (failed.get(path) !== opened.problem)
        log.warn("Flows of a pod cannot be ended", { pod, path, problem: opened.problem });
      failed.set(path, opened.problem);
      return;
    }
    const { socket, identity } = opened;
    if (closed) socket.close();
    else held.set(path, { path, pod, identity, sockets: createDiagSocket(socket) });
  }

  /** A kernel without sock_diag ends no flows; all else of the agent works. */
  function openOwn(): void {
    if (own !== undefined || closed) return;
    try {
      own = { path: "", pod: "", sockets: options.openOwn() };
      failed.delete("");
    } catch (error) {
      failed.set("", messageFromError(error));
    }
  }

  async function follow(): Promise<void> {
    openOwn();
    // A pod has a record an address; all of them name one namespace.
    const wanted = new Map((await book.list()).map((record) => [record.netns, record]));
    for (const path of held.keys()) if (!wanted.has(path)) drop(path);
    await closeGone();
    const missing = [...wanted.values()].filter(({ netns }) => !held.has(netns));
    const room = missing.slice(0, Math.max(0, maximum - held.size));
    const before = failed;
    failed = new Map([...before].filter(([path]) => path === "" || wanted.has(path)));
    const opened = room.length === 0 ? [] : await options.open(room.map(({ netns }) => netns));
    for (const [i, answer] of opened.entries()) {
      const record = room[i];
      if (record === undefined) continue;
      if (!("problem" in answer)) failed.delete(record.netns);
      keep(record, answer);
    }
    for (const { netns } of missing.slice(room.length))
      failed.set(netns, `${maximum} pods are followed already`);
  }

  function close(): void {
    closed = true;
    own?.sockets.close();
    for (const path of held.keys()) drop(path);
  }

  return {
    held: () => (closed ? [] : [...(own === undefined ? [] : [own]), ...held.values()]),
    status: () => ({ followed: held.size, failed }),
    follow,
    closeGone,
    close,
    async run(signal) {
      let looks = 0;
      let wake = new AbortController();
      let isWatched = true;
      const watching = (async () => {
        try {
          for await (const _ of options.podsCame(signal)) wake.abort("pods have come");
        } catch (error) {
          if (!signal.aborted) log.warn("The address book cannot be watched", { error });
        }
        isWatched = false;
      })();
      try {
        while (!signal.aborted) {
          const came = wake.signal.aborted || !isWatched || looks % LOOKS_A_READING === 0;
          wake = new AbortController();
          try {
            await (came ? follow() : closeGone());
          } catch (error) {
            log.warn("Pods' flows could not be followed", { error });
          }
          looks++;
          await sleepUnlessWoken(clock, AbortSignal.any([signal, wake.signal]));
        }
        await watching;
      } finally {
        close();
      }
    },
  };
}

async function sleepUnlessWoken(clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(GONE_INTERVAL_MS, signal);
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}

/** "" for a path that leads nowhere. */
async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(path);
    return `${dev}:${ino}`;
  } catch {
    // Whatever keeps us from looking keeps us from knowing that it is the same.
    return "";
  }
}

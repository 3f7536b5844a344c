// Granting leases, keeping them alive, and telling which keys went with a lost one.
//
// Nothing is revoked when the store closes. A writer that stops, is upgraded or crashes changes
// nothing for its readers; it comes back, writes its keys again under new leases, and the old
// ones run out with no key attached. Only a writer that stays away for the whole TTL loses its
// keys, and readers do not take those deletions for the writer's word (DESIGN.md, "When a
// deletion is believed").
//
// Keys that vouch for others (canaries, heartbeat) get leases of two thirds of the TTL. All
// leases are renewed in the same round, so when a writer dies its canary ends before any key
// that it vouches for: while a canary is there, nothing behind it has run out.
import { createBackoff } from "../core/backoff.ts";
import { throwIfAborted, withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { meshErrorFromGrpc } from "./errors.ts";
import type { EtcdConnection, EtcdStream } from "./etcd-connection.ts";
import type { ResponseHeader } from "./etcd-pin.ts";
import {
  LEASE_CLASSES,
  LEASE_MAX_KEYS,
  LeaseBook,
  leaseClassOf,
  type LeaseClass,
} from "./lease-book.ts";

/** Cilium's TTL (reference §1.10): long enough for an upgrade of the writer that went wrong. */
export const LEASE_TTL_SECONDS = 15 * 60;
const GRANT_TIMEOUT_MS = 10_000;
const ROUND_TIMEOUT_MS = 10_000;
const RETRY_BASE_MS = 200;
/** A writer whose etcd was emptied notices and writes again within this time. */
const RETRY_CAP_MS = 5_000;

export interface Leases {
  /** Has leases granted, side by side, for those of `keys` that none has room for. */
  reserve(keys: readonly string[], signal: AbortSignal): void;
  /** The lease of every key, granted where none has room. */
  attach(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  written(keys: readonly string[]): void;
  forget(keys: readonly string[]): void;
  forgetPrefix(prefix: string): void;
  /** Asks etcd for every lease now; resolves when lost ones have been noticed. */
  check(signal: AbortSignal): Promise<void>;
  lostKeys(signal: AbortSignal): AsyncGenerator<readonly string[]>;
  lostCount(): number;
  /** Keeps the leases alive until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface LeasesOptions {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly ttlSeconds: number;
}

interface KeepAliveResponse {
  readonly header: ResponseHeader;
  readonly ID: string;
  readonly TTL: string;
}

type KeepAliveStream = EtcdStream<{ ID: string }, KeepAliveResponse>;

export function createLeases(options: LeasesOptions): Leases {
  const { connection, clock, log } = options;
  const book = new LeaseBook();
  const lostFeeds = new Set<LostFeed>();
  const ttlSeconds: Record<LeaseClass, number> = {
    data: options.ttlSeconds,
    vouching: Math.max(1, Math.floor((options.ttlSeconds * 2) / 3)),
  };
  const roundMs = (ttlSeconds.vouching * 1_000) / 3;
  // Callers of check() wait for a round that began after their call.
  let checks: (() => void)[] = [];
  let wakeUp: (() => void) | undefined;
  /** Grants under way. Whoever needs a lease waits for any of them. */
  const granting = { data: new Set<Promise<void>>(), vouching: new Set<Promise<void>>() };

  function grant(leaseClass: LeaseClass, signal: AbortSignal): Promise<void> {
    const underWay = granting[leaseClass];
    const granted = connection
      .call<{ ID: string }>(
        {
          service: "Lease",
          method: "leaseGrant",
          request: { TTL: ttlSeconds[leaseClass], ID: 0 },
          timeoutMs: GRANT_TIMEOUT_MS,
          doing: "grant a lease",
        },
        signal,
      )
      .then(({ ID }) => book.add(ID, leaseClass))
      .finally(() => underWay.delete(granted));
    underWay.add(granted);
    return granted;
  }

  function reserve(keys: readonly string[], signal: AbortSignal): void {
    for (const leaseClass of LEASE_CLASSES) {
      const underWay = granting[leaseClass];
      const wanted = book.countWithoutLease(keys, leaseClass) - book.room(leaseClass);
      while (underWay.size * LEASE_MAX_KEYS < wanted) {
        // A key that goes without because of that asks again, and has the error.
        grant(leaseClass, signal).catch(() => {});
      }
    }
  }

  async function bookKey(key: string, signal: AbortSignal): Promise<string> {
    const leaseClass = leaseClassOf(key);
    for (;;) {
      const id = book.book(key);
      if (id !== undefined) return id;
      const [underWay] = granting[leaseClass];
      if (underWay === undefined) await grant(leaseClass, signal);
      else await underWay.catch(() => {}); // Another caller's, and so is its error.
    }
  }

  function loseAll(ids: readonly string[]): void {
    const keys = ids.flatMap((id) => book.lose(id));
    if (ids.length > 0) log.warn("Leases were lost", { leases: ids.length, keys: keys.length });
    // Those that vouch for others come last.
    keys.sort((a, b) => Number(isVouching(a)) - Number(isVouching(b)));
    for (const feed of lostFeeds) feed.add(keys);
  }

  /** All leases in one round and all losses at once: no canary is written again between two. */
  async function askAll(stream: OpenKeepAlive, signal: AbortSignal): Promise<void> {
    const answered = checks;
    checks = [];
    try {
      const ids = [...book.leases].map(({ id }) => id);
      loseAll(await stream.ask(ids, { clock, signal }));
      for (const done of answered) done();
    } catch (error) {
      checks.push(...answered);
      throw error;
    }
  }

  async function keepAlive(signal: AbortSignal, onRound: () => void): Promise<void> {
    const stream = new OpenKeepAlive(
      await connection.openStream({ service: "Lease", method: "leaseKeepAlive" }, signal),
    );
    try {
      for (;;) {
        await askAll(stream, signal);
        onRound();
        if (checks.length > 0) continue;
        const pause = new AbortController();
        wakeUp = () => pause.abort();
        const onAbort = (): void => pause.abort();
        signal.addEventListener("abort", onAbort, { once: true });
        try {
          await Promise.race([clock.sleep(roundMs, pause.signal), stream.failed]);
        } catch (error) {
          if (!isMeshError(error, "aborted")) throw error;
        } finally {
          pause.abort();
          signal.removeEventListener("abort", onAbort);
        }
        throwIfAborted(signal);
      }
    } finally {
      stream.close();
    }
  }

  return {
    reserve,
    async attach(keys, signal) {
      const leases = new Map<string, string>();
      for (const key of keys) leases.set(key, book.book(key) ?? (await bookKey(key, signal)));
      return leases;
    },
    written(keys) {
      for (const key of keys) book.written(key);
    },
    forget(keys) {
      for (const key of keys) book.forget(key);
    },
    forgetPrefix: (prefix) => book.forgetPrefix(prefix),
    check: (signal) =>
      withTimeout(
        () =>
          new Promise<void>((resolve) => {
            checks.push(resolve);
            wakeUp?.();
          }),
        { ms: ROUND_TIMEOUT_MS, what: "Cannot check leases", clock, signal },
      ),
    async *lostKeys(signal) {
      const feed = new LostFeed(book.lost);
      lostFeeds.add(feed);
      yield* feed.batches(signal, () => lostFeeds.delete(feed));
    },
    lostCount: () => book.lostDataCount(),
    async run(signal) {
      const backoff = createBackoff({
        baseMs: RETRY_BASE_MS,
        capMs: RETRY_CAP_MS,
        random: options.random,
      });
      while (!signal.aborted) {
        try {
          await keepAlive(signal, () => backoff.reset());
        } catch (error) {
          if (signal.aborted) return;
          log.debug("Leases could not be renewed", { error });
        }
        // Rejects only when the signal aborts, which ends the loop.
        await clock.sleep(backoff.nextMs(), signal).catch(() => {});
      }
    },
  };
}

function isVouching(key: string): boolean {
  return leaseClassOf(key) === "vouching";
}

/** One keep-alive stream, asked in rounds. */
class OpenKeepAlive {
  /** Rejects when the stream ends; nobody has to listen. */
  readonly failed: Promise<never>;
  readonly #stream: KeepAliveStream;
  #onAnswer: (response: KeepAliveResponse) => void = () => {};

  constructor(stream: KeepAliveStream) {
    this.#stream = stream;
    this.failed = new Promise((_, reject) => {
      stream.on("error", (error) => reject(meshErrorFromGrpc(error, "keep leases alive")));
      stream.on("end", () =>
        reject(new MeshError("unavailable", "Cannot keep leases alive: etcd closed the stream")),
      );
    });
    this.failed.catch(() => {}); // Between two rounds there may be no listener.
    stream.on("data", (response) => this.#onAnswer(response));
  }

  /** Resolves with the leases that etcd does not know (any more). */
  async ask(
    ids: readonly string[],
    options: { clock: Clock; signal: AbortSignal },
  ): Promise<readonly string[]> {
    const waiting = new Set(ids);
    const lost: string[] = [];
    if (ids.length === 0) return lost;
    const answers = new Promise<void>((resolve) => {
      this.#onAnswer = ({ ID, TTL }) => {
        if (waiting.delete(ID) && BigInt(TTL) <= 0n) lost.push(ID);
        if (waiting.size === 0) resolve();
      };
    });
    for (const ID of ids) this.#stream.write({ ID });
    await withTimeout(() => Promise.race([answers, this.failed]), {
      ms: ROUND_TIMEOUT_MS,
      what: "Cannot keep leases alive",
      ...options,
    });
    return lost;
  }

  close(): void {
    this.#stream.end();
    this.#stream.cancel();
  }
}

/** Lost keys for one listener: a set, so a slow one costs no more than its keys. */
class LostFeed {
  #keys: Set<string>;
  #wake: (() => void) | undefined;

  constructor(keys: Iterable<string>) {
    this.#keys = new Set(keys);
  }

  add(keys: Iterable<string>): void {
    for (const key of keys) this.#keys.add(key);
    this.#wake?.();
  }

  async *batches(signal: AbortSignal, onEnd: () => void): AsyncGenerator<readonly string[]> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted) {
        if (this.#keys.size > 0) {
          const batch = [...this.#keys];
          this.#keys = new Set();
          yield batch;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      onEnd();
    }
  }
}

// The store on a real etcd: puts the parts together (connection, lists, watches, leases) and
// commits. It is safe to share: one store serves any number of readers over one connection.
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { createEtcdConnection, type EtcdConnection } from "./etcd-connection.ts";
import { entryFromKeyValue, listPages, rangeEndOfPrefix, refusedForSize } from "./etcd-list.ts";
import { EtcdWitness, type ResponseHeader } from "./etcd-pin.ts";
import { watchTimeline } from "./etcd-watch.ts";
import { leaseClassOf } from "./lease-book.ts";
import { createLeases, LEASE_TTL_SECONDS, type Leases } from "./leases.ts";
import { watchTargetFrom, type StoreOperation, type WritableStore } from "./store.ts";
import type { TlsFiles } from "./tls.ts";
import { planTransactions, type Transaction } from "./transaction-plan.ts";
import { createWatchStream } from "./watch-stream.ts";

export interface EtcdStoreOptions {
  /** `https://host:port`, `http://host:port` or `host:port`; a function if they may change. */
  readonly endpoints: readonly string[] | (() => readonly string[]);
  readonly tls: TlsFiles | undefined;
  /** The name that the server's certificate must carry, if it is not the endpoint's. */
  readonly serverName?: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly leaseTtlSeconds?: number;
  /** How long a silent connection is believed in; half of the time until it counts as dead. */
  readonly keepaliveMs?: number;
  readonly receiveLimitBytes?: number;
  /** How often the certificate files are looked at. */
  readonly tlsCheckMs?: number;
}

export interface EtcdStore extends WritableStore {
  /** Ends every watch and call. Leases are left to run out, see leases.ts. */
  close(): void;
}

const CALL_TIMEOUT_MS = 10_000;
/** A rotation has an overlap of hours. */
const TLS_CHECK_MS = 10_000;
/** Transactions under way at once: enough to hide the round trip and share etcd's disk syncs. */
const COMMITS_IN_FLIGHT = 8;

export function createEtcdStore(options: EtcdStoreOptions): EtcdStore {
  const { clock, random, log } = options;
  const lifetime = new AbortController();
  const connection = createEtcdConnection({ ...options, serverName: options.serverName });
  const witness = new EtcdWitness();
  const stream = createWatchStream({ connection, witness });
  const leases = createLeases({
    connection,
    clock,
    random,
    log,
    ttlSeconds: options.leaseTtlSeconds ?? LEASE_TTL_SECONDS,
  });
  // Both end with the store and report their own failures; a store that is only read grants no
  // lease and keeps none alive.
  let keepingAlive = false;
  void followTlsFiles();

  function keepAlive(): void {
    if (keepingAlive) return;
    keepingAlive = true;
    void leases.run(lifetime.signal);
  }

  async function followTlsFiles(): Promise<void> {
    if (options.tls === undefined) return;
    while (!lifetime.signal.aborted) {
      try {
        await clock.sleep(options.tlsCheckMs ?? TLS_CHECK_MS, lifetime.signal);
        if (await connection.refreshTls())
          stream.reset(new MeshError("unavailable", "Cannot go on: the certificates have changed"));
      } catch (error) {
        if (isMeshError(error, "aborted")) return;
        log.warn("Certificates of the etcd client could not be read", { error });
      }
    }
  }

  const scoped = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, lifetime.signal]);

  return {
    async get(key, signal) {
      const response = await connection.call<{
        kvs: { key: Buffer; value: Buffer; mod_revision: string }[];
      }>(
        {
          service: "KV",
          method: "range",
          request: { key: Buffer.from(key) },
          timeoutMs: CALL_TIMEOUT_MS,
          doing: `read "${key}"`,
        },
        signal,
      );
      const [found] = response.kvs;
      return found === undefined ? undefined : entryFromKeyValue(found);
    },
    async *list(prefix, signal) {
      for await (const page of listPages({ connection, prefix }, scoped(signal))) {
        for (const key of page.skipped)
          log.error("A value was skipped", { error: refusedForSize(key) });
        if (page.entries.length > 0) yield page.entries;
      }
    },
    watch: (target, signal) =>
      watchTimeline(
        { connection, stream, witness, target: watchTargetFrom(target), clock, random, log },
        scoped(signal),
      ),
    commit(operations, signal) {
      keepAlive();
      return commit({ connection, leases, operations }, scoped(signal));
    },
    async deletePrefix(prefix, signal) {
      await connection.call(
        {
          service: "KV",
          method: "deleteRange",
          request: { key: Buffer.from(prefix), range_end: rangeEndOfPrefix(prefix) },
          timeoutMs: CALL_TIMEOUT_MS,
          doing: `delete everything below "${prefix}"`,
        },
        signal,
      );
      leases.forgetPrefix(prefix);
    },
    lostKeys: (signal) => leases.lostKeys(scoped(signal)),
    lostCount: () => leases.lostCount(),
    close() {
      lifetime.abort();
      stream.reset(new MeshError("aborted", "Cannot go on: the store has been closed"));
      connection.close();
    },
  };
}

interface Commit {
  readonly connection: EtcdConnection;
  readonly leases: Leases;
  readonly operations: readonly StoreOperation[];
}

async function commit(options: Commit, signal: AbortSignal): Promise<bigint> {
  const { first, last } = planTransactions(options.operations);
  let highest = 0n;
  for (const stage of [first, last]) {
    if (stage === last && last.length > 0) await requireIntact(options.leases, signal);
    options.leases.reserve(stage.flatMap(putKeys), signal);
    const waiting = stage.values();
    const workers = Array.from({ length: Math.min(COMMITS_IN_FLIGHT, stage.length) }, async () => {
      for (const transaction of waiting) {
        const revision = await commitTransaction(options, { transaction, signal });
        if (revision > highest) highest = revision;
      }
    });
    const outcomes = await Promise.allSettled(workers);
    // Everything under way has ended before the caller hears of the first failure.
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }
  return highest;
}

/**
 * What vouches for other keys is written only while every lease behind them is known to live, in
 * the etcd of this moment: it may have been replaced by an empty one a moment ago.
 */
async function requireIntact(leases: Leases, signal: AbortSignal): Promise<void> {
  await leases.check(signal);
  const lost = leases.lostCount();
  if (lost > 0)
    throw new MeshError(
      "unavailable",
      `Cannot vouch for what is exported: ${lost} keys were lost and are not written again yet`,
    );
}

async function commitTransaction(
  { connection, leases }: Commit,
  { transaction, signal }: { transaction: Transaction; signal: AbortSignal },
): Promise<bigint> {
  const puts = putKeys(transaction);
  const deletes = transaction.filter(({ kind }) => kind === "delete").map(({ key }) => key);
  for (let attempt = 1; ; attempt++) {
    const leaseOfKey = await leases.attach(puts, signal);
    try {
      const { header } = await connection.call<{ header: ResponseHeader }>(
        {
          service: "KV",
          method: "txn",
          request: { success: transaction.map((operation) => request(operation, leaseOfKey)) },
          timeoutMs: CALL_TIMEOUT_MS,
          doing: `write ${transaction.length} keys from "${transaction[0]?.key ?? ""}" on`,
        },
        signal,
      );
      leases.written(puts);
      leases.forget(deletes);
      return BigInt(header.revision);
    } catch (error) {
      // The lease has ended behind our back: find all that have, and write under new ones.
      if (!isMeshError(error, "not_found") || attempt > 1) throw error;
      await (transaction.some(isVouching) ? requireIntact(leases, signal) : leases.check(signal));
    }
  }
}

function putKeys(transaction: Transaction): string[] {
  return transaction.filter(({ kind }) => kind === "put").map(({ key }) => key);
}

function isVouching(operation: StoreOperation): boolean {
  return operation.kind === "put" && leaseClassOf(operation.key) === "vouching";
}

function request(operation: StoreOperation, leaseOfKey: ReadonlyMap<string, string>): object {
  const key = Buffer.from(operation.key);
  if (operation.kind === "delete") return { request_delete_range: { key } };
  return { request_put: { key, value: operation.value, lease: leaseOfKey.get(operation.key) } };
}

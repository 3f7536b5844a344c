// A cluster that exports records into a memory etcd, for tests of readers: it beats, its leases
// run out when it is dead, and it comes back as a real writer does (records, canary, heartbeat).
// Time is moved by the test, through `pass`.
import {
  clusterConfigKey,
  HEARTBEAT_KEY,
  statePrefix,
  stateWatchPrefix,
  syncedKey,
} from "../../mesh/kvstore/keys.ts";
import {
  createMemoryStore,
  type MemoryEtcd,
  type MemoryStore,
} from "../../mesh/kvstore/memory-store.ts";
import type { StoreOperation } from "../../mesh/kvstore/store.ts";
import type { FakeClock } from "./clock.ts";

export const INTERVAL_MS = 60_000;
const CANARY_TTL_MS = 10 * 60_000;
const RECORD_TTL_MS = 15 * 60_000;

export class ExportingCluster {
  readonly name = "east";
  readonly prefix = stateWatchPrefix("services", "east");
  readonly canaryKey = syncedKey({ cluster: "east", kind: "services", cached: false });
  readonly configKey = clusterConfigKey("east");
  /** What it means to export: name → value. */
  readonly records = new Map<string, string>();
  id = 1;
  alive = true;
  readonly #etcd: MemoryEtcd;
  readonly #clock: FakeClock;
  readonly #store: MemoryStore;
  #nextBeatMs = 0;
  #diedMs = 0;

  constructor(etcd: MemoryEtcd, clock: FakeClock) {
    this.#etcd = etcd;
    this.#clock = clock;
    this.#store = createMemoryStore(etcd);
  }

  /** Config, every record, canary, heartbeat: in that order, some time apart if it is told to. */
  async writeAll(pauseMs = 0): Promise<void> {
    await this.commit(put(this.configKey, this.config()));
    for (const [name, value] of this.records) {
      await this.commit(put(this.prefix + name, value));
      if (pauseMs > 0) await this.#clock.advance(pauseMs);
    }
    await this.commit(put(this.canaryKey, "now"));
    await this.beat();
  }

  config(): string {
    return JSON.stringify({
      id: this.id,
      capabilities: { syncedCanaries: true, maxConnectedClusters: 255 },
    });
  }

  async put(name: string, value: string): Promise<void> {
    this.records.set(name, value);
    await this.commit(put(this.prefix + name, value));
  }

  async delete(name: string): Promise<void> {
    this.records.delete(name);
    await this.commit({ kind: "delete", key: this.prefix + name });
  }

  async beat(): Promise<void> {
    this.#nextBeatMs = this.#clock.monotonicMs() + INTERVAL_MS;
    await this.commit(put(HEARTBEAT_KEY, String(this.#clock.nowMs())));
  }

  die(): void {
    this.alive = false;
    this.#diedMs = this.#clock.monotonicMs();
  }

  /** Back again: writes what its leases took away, and only then vouches for it. */
  async revive(): Promise<void> {
    this.alive = true;
    await this.writeAll();
  }

  /** Time passes for the cluster and its etcd: beats, or leases that run out. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + ms;
    while (this.#clock.monotonicMs() < untilMs) {
      await this.#clock.advance(Math.min(INTERVAL_MS / 4, untilMs - this.#clock.monotonicMs()));
      const now = this.#clock.monotonicMs();
      if (this.alive) {
        if (now >= this.#nextBeatMs) await this.beat();
        continue;
      }
      if (now - this.#diedMs >= CANARY_TTL_MS) this.#expire([this.canaryKey, HEARTBEAT_KEY]);
      if (now - this.#diedMs >= RECORD_TTL_MS)
        this.#expire([this.configKey, ...this.#etcd.entries(RECORDS).map(({ key }) => key)]);
    }
    await this.#clock.settle();
  }

  async commit(...operations: StoreOperation[]): Promise<void> {
    await this.#store.commit(operations, new AbortController().signal);
    await this.#clock.settle();
  }

  #expire(keys: readonly string[]): void {
    const present = keys.filter(
      (key) => this.#etcd.entries({ prefix: key, maxKeys: 1, exact: true }).length > 0,
    );
    if (present.length > 0) this.#store.expireLeases(present);
  }
}

const RECORDS = { prefix: `${statePrefix("services")}/`, maxKeys: 1_000_000 };

function put(key: string, value: string): StoreOperation {
  return { kind: "put", key, value: Buffer.from(value) };
}

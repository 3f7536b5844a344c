// Granting, renewing and losing leases, with an etcd that answers as the tests say.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { HEARTBEAT_KEY } from "../../../../mesh/kvstore/keys.ts";
import { createLeases, type Leases } from "../../../../mesh/kvstore/leases.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import {
  createFakeConnection,
  header,
  type FakeConnection,
} from "../../../fakes/etcd-connection.ts";

const signal = new AbortController().signal;

describe("createLeases()", () => {
  let clock: FakeClock;
  let connection: FakeConnection;
  let leases: Leases;
  let end: AbortController;
  let running: Promise<void>;
  let granted: { id: string; ttl: number }[];

  beforeEach(async () => {
    clock = createFakeClock();
    granted = [];
    connection = createFakeConnection(({ request }) => {
      const { TTL } = request as { TTL: number };
      granted.push({ id: String(granted.length + 1), ttl: TTL });
      return { ID: String(granted.length), TTL: String(TTL) };
    });
    leases = createLeases({
      connection,
      clock,
      random: () => 0,
      log: silentLogger,
      ttlSeconds: 900,
    });
    end = new AbortController();
    running = leases.run(end.signal);
    await clock.settle();
  });
  afterEach(async () => {
    end.abort();
    await clock.settle();
    await running;
  });

  const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`);

  /** Answers what the current stream has been asked; `dead` leases are gone. */
  async function answer(dead: readonly string[] = []): Promise<number> {
    const stream = connection.streams.at(-1);
    const asked = stream?.written.splice(0) ?? [];
    for (const { ID } of asked as { ID: string }[])
      stream?.send({ header: header(1), ID, TTL: dead.includes(ID) ? "0" : "900" });
    await clock.settle();
    return asked.length;
  }

  function collectLost(): { lost: string[]; done: Promise<void> } {
    const lost: string[] = [];
    const done = (async () => {
      for await (const batch of leases.lostKeys(end.signal)) lost.push(...batch);
    })();
    return { lost, done };
  }

  test("grants one lease for each 1,000 keys, also to callers side by side", async () => {
    const all = keys(2_500);
    const halves = [all.slice(0, 1_250), all.slice(1_250)];
    const booked = await Promise.all(halves.map((half) => leases.attach(half, signal)));
    expect(granted).toHaveLength(3);
    const perLease = new Map<string, number>();
    for (const id of booked.flatMap((map) => [...map.values()]))
      perLease.set(id, (perLease.get(id) ?? 0) + 1);
    expect(Math.max(...perLease.values())).toBe(1_000);
  });

  test("reserve() asks for all missing leases at once, and for no more than are missing", async () => {
    await leases.attach(keys(300), signal);
    const all = keys(4_200);
    leases.reserve(all, signal);
    leases.reserve(all, signal);
    expect(connection.calls).toHaveLength(5);
    expect((await leases.attach(all, signal)).size).toBe(4_200);
    leases.reserve(all, signal);
    expect(granted).toHaveLength(5);
  });

  test("a caller whose grant fails takes no others with it", async () => {
    let calls = 0;
    const shared = createLeases({
      connection: createFakeConnection(() => {
        if (++calls === 1) throw new MeshError("aborted", "The operation was aborted");
        return { ID: "1", TTL: "900" };
      }),
      clock,
      random: () => 0,
      log: silentLogger,
      ttlSeconds: 900,
    });
    const [first, second] = await Promise.allSettled([
      shared.attach(["a"], signal),
      shared.attach(["b"], signal),
    ]);
    expect(first.status).toBe("rejected");
    expect(second).toEqual({ status: "fulfilled", value: new Map([["b", "1"]]) });
  });

  test("a grant that fails fails for those who need it", async () => {
    const failing = createLeases({
      connection: createFakeConnection(() => {
        throw new MeshError("unavailable", "Cannot grant a lease: no etcd");
      }),
      clock,
      random: () => 0,
      log: silentLogger,
      ttlSeconds: 900,
    });
    failing.reserve(keys(10), signal);
    await expect(failing.attach(keys(10), signal)).rejects.toThrow("no etcd");
  });

  test("gives what vouches for others a shorter life", async () => {
    await leases.attach(["k", HEARTBEAT_KEY], signal);
    expect(granted.map(({ ttl }) => ttl)).toEqual([900, 600]);
  });

  test("renews all leases in one round, three times within the shortest life", async () => {
    await leases.attach(keys(1_500), signal);
    await clock.advance(200_000);
    expect(await answer()).toBe(2);
    await clock.advance(199_000);
    expect(await answer()).toBe(0);
    await clock.advance(1_000);
    expect(await answer()).toBe(2);
  });

  test("tells all losses of a round at once, those that vouch for others last", async () => {
    await leases.attach([HEARTBEAT_KEY, ...keys(1_500)], signal);
    const { lost, done } = collectLost();
    await clock.advance(200_000);
    await answer(["1", "2", "3"]);
    expect(lost).toHaveLength(1_501);
    expect(lost.at(-1)).toBe(HEARTBEAT_KEY);
    expect(leases.lostCount()).toBe(1_500);
    leases.written(keys(1_000));
    leases.forget(keys(1_500).slice(1_000));
    expect(leases.lostCount()).toBe(0);
    end.abort();
    await done;
  });

  test("asks for everything again as soon as a broken stream is back", async () => {
    await leases.attach(keys(1), signal);
    connection.streams.at(-1)?.fail(new Error("gone"));
    await clock.advance(1_000);
    expect(connection.streams).toHaveLength(2);
    expect(await answer()).toBe(1);
  });

  test("check() resolves when a round that began after it is over", async () => {
    await leases.attach(keys(1), signal);
    let checked = false;
    const checking = leases.check(signal).then(() => {
      checked = true;
    });
    await clock.settle();
    expect(checked).toBe(false);
    await answer(["1"]);
    await checking;
    expect(leases.lostCount()).toBe(1);
  });

  test("check() rejects when etcd does not answer", async () => {
    await leases.attach(keys(1), signal);
    const checking = leases.check(signal).catch((error: unknown) => error);
    await clock.advance(10_000);
    expect(await checking).toMatchObject({ code: "deadline_exceeded" });
  });

  test("lostKeys() begins with what is missing already", async () => {
    await leases.attach(keys(2), signal);
    await clock.advance(200_000);
    await answer(["1"]);
    const { lost, done } = collectLost();
    await clock.settle();
    expect(lost).toEqual(["k0", "k1"]);
    end.abort();
    await done;
  });
});

// One drill at a time, in a real etcd.
import { afterEach, describe, expect, test } from "@jest/globals";
import { DRILL_LOCK_KEY, releaseDrillLock, takeDrillLock } from "../../mesh/kvstore/drill-lock.ts";
import { startTestEtcd, type TestEtcd } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";

const LIMIT_MS = 60_000;
const signal = new AbortController().signal;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startEtcd(): Promise<TestEtcd> {
  const etcd = await startTestEtcd();
  closers.push(() => etcd.close());
  return etcd;
}

const lock = (drill: string, { ttlMs = 60_000, renew = false } = {}) => ({
  drill,
  holder: `mesh for ${drill}`,
  ttlMs,
  renew,
});

async function leases({ connection }: TestEtcd): Promise<number> {
  const answer = await connection.call<{ leases: readonly unknown[] }>(
    {
      service: "Lease",
      method: "leaseLeases",
      request: {},
      timeoutMs: 5_000,
      doing: "list leases",
    },
    signal,
  );
  return answer.leases.length;
}

describe("takeDrillLock()", () => {
  test(
    "gives the lock to one drill, names the holder to others, and renews it for the holder",
    async () => {
      const etcd = await startEtcd();
      const { connection } = etcd;
      expect(await takeDrillLock(connection, lock("one"), signal)).toBeUndefined();
      const holder = { drill: "one", holder: "mesh for one" };
      expect(await takeDrillLock(connection, lock("two"), signal)).toEqual(holder);
      expect(await takeDrillLock(connection, lock("one", { renew: true }), signal)).toBeUndefined();
      expect(await takeDrillLock(connection, lock("two", { renew: true }), signal)).toEqual(holder);
      // What was refused or renewed leaves no lease behind.
      expect(await leases(etcd)).toBe(1);
    },
    LIMIT_MS,
  );

  test(
    "gives it to another once the lease has run out",
    async () => {
      const { connection } = await startEtcd();
      expect(await takeDrillLock(connection, lock("one", { ttlMs: 1 }), signal)).toBeUndefined();
      await eventually(
        async () => (await takeDrillLock(connection, lock("two"), signal)) === undefined,
      );
    },
    LIMIT_MS,
  );
});

describe("releaseDrillLock()", () => {
  test(
    "takes away what the drill holds, and anybody's for the kill switch",
    async () => {
      const { connection } = await startEtcd();
      await releaseDrillLock(connection, "one", signal);
      await takeDrillLock(connection, lock("one"), signal);
      await releaseDrillLock(connection, "two", signal);
      expect(await takeDrillLock(connection, lock("two"), signal)).toBeDefined();
      await releaseDrillLock(connection, "one", signal);
      expect(await takeDrillLock(connection, lock("two"), signal)).toBeUndefined();
      await releaseDrillLock(connection, "", signal);
      // Whoever renews learns that it was stopped, and takes nothing anew.
      expect(await takeDrillLock(connection, lock("two", { renew: true }), signal)).toEqual({
        drill: "",
        holder: "",
      });
      expect(await takeDrillLock(connection, lock("three"), signal)).toBeUndefined();
      expect(DRILL_LOCK_KEY.startsWith("tombolo/local/")).toBe(true);
    },
    LIMIT_MS,
  );
});

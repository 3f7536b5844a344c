import { beforeEach, describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { lockWithLease, type Lease } from "../../../../mesh/connect/kubernetes-lock.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const collection = "/apis/coordination.k8s.io/v1/namespaces/mesh/leases";
const path = `${collection}/tombolo-connect`;
let api: MemoryKubernetes;
let clock: FakeClock;

beforeEach(() => {
  api = createMemoryKubernetes();
  clock = createFakeClock(Date.UTC(2030, 0, 1));
});

const lock = (signal = new AbortController().signal) =>
  lockWithLease({ transport: api, namespace: "mesh", clock, log: silentLogger }, signal);
const put = (spec: Lease["spec"]): void =>
  api.put(collection, { metadata: { name: "tombolo-connect" }, spec });
/** By a clock that is `skewMs` ahead of ours. */
const putRenewed = (skewMs: number): void =>
  put({
    holderIdentity: "other",
    leaseDurationSeconds: 30,
    renewTime: new Date(clock.nowMs() + skewMs).toISOString(),
  });
const spec = (): Lease["spec"] => (api.objects.get(path) as Lease | undefined)?.spec;

describe("lockWithLease()", () => {
  test("holds a lease that says by whom and since when, and gives it back", async () => {
    const unlock = await lock();
    const { holderIdentity, ...times } = spec() ?? {};
    expect(holderIdentity).toContain(`mesh on ${hostname()}, process ${process.pid} (`);
    expect(times).toEqual({
      leaseDurationSeconds: 30,
      acquireTime: "2030-01-01T00:00:00.000000Z",
      renewTime: "2030-01-01T00:00:00.000000Z",
    });
    await expect(lock()).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(
        `"${holderIdentity}" has been at it since 2030-01-01T00:00:00.000000Z (Lease mesh/tombolo-connect)`,
      ),
    });
    await unlock();
    await unlock();
    expect(spec()?.holderIdentity).toBeUndefined();
    await (
      await lock()
    )();
  });

  test("renews the lease for as long as it is held", async () => {
    const unlock = await lock();
    await clock.advance(25_000);
    expect(spec()).toMatchObject({
      acquireTime: "2030-01-01T00:00:00.000000Z",
      renewTime: "2030-01-01T00:00:20.000000Z",
    });
    await clock.advance(60_000);
    await expect(lock()).rejects.toMatchObject({ code: "conflict" });
    await unlock();
    expect(clock.sleepers).toBe(0);
  });

  test("goes on when a renewal fails", async () => {
    const unlock = await lock();
    let failures = 1;
    api.before = ({ method }) => {
      if (method === "PUT" && failures-- > 0) throw new Error("cut off");
    };
    await clock.advance(20_000);
    expect(spec()?.renewTime).toBe("2030-01-01T00:00:20.000000Z");
    await unlock();
  });

  test("refuses at once what was renewed lately by either clock", async () => {
    for (const skewMs of [-29_000, 0, 29_000]) {
      putRenewed(skewMs);
      await expect(lock()).rejects.toMatchObject({ code: "conflict" });
    }
    expect(clock.monotonicMs()).toBe(0);
  });

  for (const [skew, skewMs] of Object.entries({ behind: -100_000, ahead: 3_600_000 })) {
    test(`takes what nobody renews while it watches, be the holder's clock ${skew}`, async () => {
      putRenewed(skewMs);
      const locking = lock();
      await clock.advance(29_999);
      expect(spec()?.holderIdentity).toBe("other");
      await clock.advance(1);
      await (
        await locking
      )();
      expect(spec()?.holderIdentity).toBeUndefined();
    });

    test(`leaves what is renewed while it watches, be the holder's clock ${skew}`, async () => {
      putRenewed(skewMs);
      const refused = expect(lock()).rejects.toMatchObject({ code: "conflict" });
      await clock.advance(10_000);
      putRenewed(skewMs);
      await clock.advance(2_000);
      await refused;
      expect(clock.sleepers).toBe(0);
    });
  }

  test("watches a lease whose time cannot be read, until it is told to stop", async () => {
    put({ holderIdentity: "other", renewTime: "soon" });
    const abort = new AbortController();
    const refused = expect(lock(abort.signal)).rejects.toMatchObject({ code: "aborted" });
    await clock.advance(10_000);
    abort.abort();
    await refused;
    expect(spec()?.holderIdentity).toBe("other");
  });

  test("takes a lease at once that was left minutes ago", async () => {
    putRenewed(-300_000);
    await (
      await lock()
    )();
    expect(clock.monotonicMs()).toBe(0);
  });

  test("takes the lease at once of a process of this machine that has ended", async () => {
    const unlock = await lock();
    const ours = spec();
    await unlock();
    const ended = spawnSync(process.execPath, ["--version"]).pid;
    const identity = ours?.holderIdentity ?? "";
    const gone = identity.replace(`process ${process.pid} `, `process ${ended} `);
    expect(gone).not.toBe(identity);
    put({ ...ours, holderIdentity: gone });
    await (
      await lock()
    )();
  });

  test("leaves a lease alone that was taken from it", async () => {
    const unlock = await lock();
    const stolen = { metadata: { name: "tombolo-connect" }, spec: { holderIdentity: "thief" } };
    api.put(collection, stolen);
    await clock.advance(10_000);
    await unlock();
    expect(spec()?.holderIdentity).toBe("thief");
  });
});

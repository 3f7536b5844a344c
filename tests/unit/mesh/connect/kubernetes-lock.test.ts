import { beforeEach, describe, expect, test } from "@jest/globals";
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

const lock = () => lockWithLease({ transport: api, namespace: "mesh", clock, log: silentLogger });
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

  test("takes the lease of somebody who vanished, but not before it has ended", async () => {
    const held = { holderIdentity: "gone", leaseDurationSeconds: 30 };
    const renewTime = "2030-01-01T00:00:00.000000Z";
    api.put(collection, { metadata: { name: "tombolo-connect" }, spec: { ...held, renewTime } });
    await clock.advance(29_999);
    await expect(lock()).rejects.toMatchObject({ code: "conflict" });
    await clock.advance(1);
    const unlock = await lock();
    expect(spec()?.holderIdentity).not.toBe("gone");
    await unlock();
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

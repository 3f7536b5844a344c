// Which daemon dies, for how long, and for whom.
import { describe, expect, test } from "@jest/globals";
import {
  createDaemonFaults,
  type DaemonFaults,
} from "../../../../apiserver/drill/daemon-faults.ts";
import { createHold, type Hold } from "../../../../apiserver/drill/hold.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

const ANSWER_MS = 250;

interface Setup {
  readonly clock: FakeClock;
  readonly faults: DaemonFaults;
  readonly etcd: Hold;
  readonly sessions: Hold;
  readonly did: string[];
}

function setup(): Setup {
  const clock = createFakeClock();
  const [etcd, sessions] = [createHold(clock), createHold(clock)];
  const did: string[] = [];
  const faults = createDaemonFaults({
    etcd: { hold: etcd, kill: async () => void did.push("etcd") },
    nats: undefined,
    sessions,
    die: (ttlMs) => void did.push(`die ${ttlMs}`),
    afterAnswer: () => clock.sleep(ANSWER_MS, new AbortController().signal),
    clock,
    log: silentLogger,
  });
  return { clock, faults, etcd, sessions, did };
}

describe("createDaemonFaults()", () => {
  test("kills after the answer, and holds until the deadline", async () => {
    const { clock, faults, etcd, did } = setup();
    await faults.break({ drill: "d", fault: "etcd-kill", ttlMs: 5_000 });
    expect(did).toEqual([]);
    await clock.advance(250);
    expect(did).toEqual(["etcd"]);
    await clock.advance(4_749);
    expect(etcd.active).toBe(true);
    await clock.advance(1);
    expect(etcd.active).toBe(false);
  });

  test("does not kill what was lifted before it died", async () => {
    const { clock, faults, did } = setup();
    await faults.break({ drill: "d", fault: "etcd-kill", ttlMs: 5_000 });
    faults.lift("d");
    await clock.advance(250);
    expect(did).toEqual([]);
  });

  test("cuts sessions, and lifts for its own drill or for all", async () => {
    const { faults, sessions } = setup();
    await faults.break({ drill: "d", fault: "sessions-cut", ttlMs: 5_000 });
    faults.lift("e");
    expect(sessions.active).toBe(true);
    const other = faults.break({ drill: "e", fault: "etcd-kill", ttlMs: 1 });
    await expect(other).rejects.toThrow(/drill "d" does/);
    faults.lift("");
    expect(sessions.active).toBe(false);
    await faults.break({ drill: "e", fault: "sessions-cut", ttlMs: 1 });
  });

  test("never lasts longer than a quarter of an hour", async () => {
    const { clock, faults, did } = setup();
    await faults.break({ drill: "d", fault: "apiserver-kill", ttlMs: 10 ** 9 });
    await clock.advance(250);
    expect(did).toEqual(["die 900000"]);
  });

  test("refuses what somebody else runs", async () => {
    const { faults } = setup();
    const nats = faults.break({ drill: "d", fault: "nats-kill", ttlMs: 1 });
    await expect(nats).rejects.toThrow(/Cannot kill nats-server: this apiserver does not run it/);
  });
});

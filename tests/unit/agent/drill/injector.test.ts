// Faults as rows: what each says, how long it lasts at most, and whose they are.
import { describe, expect, test } from "@jest/globals";
import {
  createInjector,
  drillNumber,
  FAULT_LASTS_MAX_MS,
  planFaultRows,
  type Injector,
} from "../../../../agent/drill/injector.ts";
import { SLOW_PRIORITY } from "../../../../agent/drill/slow-way.ts";
import { FaultDirection, type Fault } from "../../../../bpf/gen/layout.ts";
import { faultsMap } from "../../../../bpf/gen/maps.ts";
import type { BpfMap } from "../../../../bpf/map.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { PacketFault } from "../../../../mesh/operations/questions.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

const WEST = 2;
const signal = new AbortController().signal;
const clusterId = (name: string): number | undefined => (name === "west" ? WEST : undefined);

function fault(fields: Partial<PacketFault> = {}): PacketFault {
  return {
    peer: "west",
    direction: "both",
    flowPercent: 100,
    dropPercent: 100,
    refuse: false,
    slow: false,
    ...fields,
  };
}

interface Setup {
  readonly clock: FakeClock;
  readonly faults: BpfMap<number, Fault>;
  readonly injector: Injector;
  readonly slow: string[];
  readonly nowNs: () => bigint;
}

function setup(faults: BpfMap<number, Fault> = createMemoryMap(faultsMap)): Setup {
  const clock = createFakeClock();
  const slow: string[] = [];
  const nowNs = (): bigint => 5_000_000_000n + BigInt(clock.monotonicMs()) * 1_000_000n;
  const injector = createInjector({
    faults,
    clusterId,
    slowWay: {
      open: async () => void slow.push("open"),
      close: async () => void slow.push("close"),
    },
    kernelNowNs: nowNs,
    clock,
    log: silentLogger,
  });
  return { clock, faults, injector, slow, nowNs };
}

describe("planFaultRows()", () => {
  test("writes every node's row for no peer, and joins the two directions of one fault", () => {
    const rows = planFaultRows(
      [
        fault({ direction: "inbound", refuse: true }),
        fault({ direction: "outbound", refuse: true }),
        fault({ peer: "", direction: "outbound", flowPercent: 25, dropPercent: 10, slow: true }),
      ],
      clusterId,
    );
    expect(rows.get(WEST)).toEqual({
      directions: FaultDirection.bothWays,
      flowPercent: 100,
      dropPercent: 100,
      refuse: 1,
      slowPriority: 0,
    });
    expect(rows.get(0)).toEqual({
      directions: FaultDirection.outbound,
      flowPercent: 25,
      dropPercent: 10,
      refuse: 0,
      slowPriority: SLOW_PRIORITY,
    });
  });

  for (const [what, faults, reason] of [
    ["a cluster nobody knows", [fault({ peer: "north" })], /"north": this node does not know it/],
    ["slow inbound packets", [fault({ direction: "inbound", slow: true })], /where they leave/],
    ["two faults for a peer", [fault(), fault({ dropPercent: 1 })], /differ in more than dir/],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => planFaultRows(faults, clusterId)).toThrow(reason);
    });
  }
});

describe("createInjector()", () => {
  test("writes an end by the kernel's clock, and a later one when it is renewed", async () => {
    const { clock, faults, injector, nowNs } = setup();
    await injector.inject({ drill: "d", faults: [fault()], ttlMs: 5_000 }, signal);
    const first = faults.get(WEST);
    expect(first).toMatchObject({ expiresNs: nowNs() + 5_000_000_000n, drill: drillNumber("d") });
    faults.put(WEST, { ...(first as Fault), packets: 7n });
    await clock.advance(1_000);
    await injector.inject({ drill: "d", faults: [fault()], ttlMs: 5_000 }, signal);
    expect(faults.get(WEST)).toEqual({
      ...first,
      packets: 7n,
      expiresNs: nowNs() + 5_000_000_000n,
    });
  });

  test("never gives a fault more than ten seconds at a time, or fifteen minutes in all", async () => {
    const { clock, faults, injector, nowNs } = setup();
    const request = { drill: "d", faults: [fault()], ttlMs: 3_600_000 };
    await injector.inject(request, signal);
    expect(faults.get(WEST)?.expiresNs).toBe(nowNs() + 10_000_000_000n);
    for (let passedMs = 0; passedMs < FAULT_LASTS_MAX_MS - 5_000; passedMs += 5_000) {
      await clock.advance(5_000);
      await injector.inject(request, signal);
    }
    expect(faults.get(WEST)?.expiresNs).toBe(nowNs() + 5_000_000_000n);
    await clock.advance(4_999);
    await injector.inject(request, signal);
    await clock.advance(1);
    // The last one has run out together with the drill's time: a new fault is a new beginning.
    expect(faults.get(WEST)?.expiresNs).toBeLessThanOrEqual(nowNs());
  });

  test("refuses to renew what has had its time", async () => {
    const { clock, faults, injector, nowNs } = setup();
    const request = { drill: "d", faults: [fault()], ttlMs: 10_000 };
    await injector.inject(request, signal);
    // As if a row outlived its drill: another clock, or a write of somebody else.
    faults.put(WEST, { ...(faults.get(WEST) as Fault), expiresNs: nowNs() + 10n ** 13n });
    await clock.advance(FAULT_LASTS_MAX_MS);
    await expect(injector.inject(request, signal)).rejects.toThrow(/have lasted 15 minutes/);
  });

  test("refuses another drill while one is in force, also one of an earlier agent", async () => {
    const { clock, faults, injector } = setup();
    await injector.inject({ drill: "d", faults: [fault()], ttlMs: 5_000 }, signal);
    const later = setup(faults).injector;
    const other = { drill: "e", faults: [fault()], ttlMs: 5_000 };
    await expect(later.inject(other, signal)).rejects.toThrow(/another drill's are in force/);
    await later.inject({ drill: "d", faults: [fault()], ttlMs: 5_000 }, signal);
    await clock.advance(5_000);
    await injector.inject(other, signal);
    expect(faults.get(WEST)?.drill).toBe(drillNumber("e"));
  });

  test("replaces what the same drill had injected", async () => {
    const { faults, injector } = setup();
    await injector.inject({ drill: "d", faults: [fault({ peer: "" })], ttlMs: 5_000 }, signal);
    await injector.inject({ drill: "d", faults: [fault()], ttlMs: 5_000 }, signal);
    expect(faults.get(0)?.expiresNs).toBe(0n);
    expect(faults.get(WEST)?.expiresNs).not.toBe(0n);
  });

  test("lifts its own drill's faults, or anybody's for no name", async () => {
    const { faults, injector } = setup();
    await injector.inject({ drill: "d", faults: [fault()], ttlMs: 5_000 }, signal);
    await injector.lift("e", signal);
    expect(faults.get(WEST)?.expiresNs).not.toBe(0n);
    await injector.lift("", signal);
    expect(faults.get(WEST)?.expiresNs).toBe(0n);
  });

  test("takes expired rows and the slow way away, at its start too", async () => {
    const { clock, faults, injector, slow, nowNs } = setup();
    await injector.inject({ drill: "d", faults: [fault({ slow: true })], ttlMs: 2_000 }, signal);
    expect(slow).toEqual(["open"]);
    const left = { ...(faults.get(WEST) as Fault), slowPriority: 0, expiresNs: nowNs() };
    faults.put(7, left);
    const end = new AbortController();
    const running = injector.run(end.signal);
    await clock.settle();
    expect(faults.get(7)?.expiresNs).toBe(0n);
    expect(slow).toEqual(["open"]);
    await clock.advance(3_000);
    expect(faults.get(WEST)?.expiresNs).toBe(0n);
    expect(slow).toContain("close");
    end.abort();
    await running;
  });
});

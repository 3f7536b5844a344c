import { describe, expect, test } from "@jest/globals";
import type { DrillDefinition } from "../../../../mesh/drill/definition.ts";
import {
  definitionFromFlags,
  type DefinitionFlags,
} from "../../../../mesh/drill/definition-file.ts";
import { runDrill } from "../../../../mesh/drill/drill.ts";
import { FAULT_TTL_MS } from "../../../../mesh/drill/fault-keeper.ts";
import type { DrillReport } from "../../../../mesh/drill/report.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import {
  createFakeDrillMesh,
  FAKE_DETECT_MS,
  type FakeDrillMesh,
} from "../../../fakes/drill-mesh.ts";
import { fakeService } from "../../../fakes/drill-services.ts";

const BLACK_HOLE: DefinitionFlags = {
  fault: "cluster-black-hole",
  cluster: "west",
  baseline: "2s",
  duration: "5s",
  failback: "20s",
};

interface Drilled {
  readonly clock: FakeClock;
  readonly mesh: FakeDrillMesh;
  readonly phases: string[];
  readonly saved: DrillReport[];
  readonly stop: AbortController;
  readonly outcome: () => DrillReport | Error | undefined;
  /** Until the drill is at a phase, or over. */
  until(phase: string): Promise<void>;
  finish(): Promise<DrillReport>;
}

function begin(
  flags: DefinitionFlags,
  options: {
    mesh?: (clock: FakeClock) => FakeDrillMesh;
    change?: (definition: DrillDefinition) => DrillDefinition;
  } = {},
): Drilled {
  const clock = createFakeClock();
  const mesh = (options.mesh ?? createFakeDrillMesh)(clock);
  const phases: string[] = [];
  const saved: DrillReport[] = [];
  const stop = new AbortController();
  let outcome: DrillReport | Error | undefined;
  const definition = (options.change ?? ((same) => same))(definitionFromFlags(flags));
  void runDrill({
    mesh,
    definition,
    clock,
    random: () => 0.5,
    observer: { phase: (name) => void phases.push(name), run: () => {}, note: () => {} },
    holder: "a test",
    command: "mesh drill run",
    software: { mesh: "0.1.0" },
    save: (report) => Promise.resolve(void saved.push(report)),
    signal: stop.signal,
  }).then(
    (report) => void (outcome = report),
    (error: unknown) => void (outcome = error as Error),
  );
  const step = async (isThere: () => boolean): Promise<void> => {
    await clock.settle();
    for (let steps = 0; !isThere() && outcome === undefined; steps++) {
      if (steps > 4_000) throw new Error(`The drill hangs in phase "${phases.at(-1)}"`);
      await clock.advance(100);
    }
  };
  return {
    clock,
    mesh,
    phases,
    saved,
    stop,
    outcome: () => outcome,
    until: (phase) => step(() => phases.includes(phase)),
    finish: async () => {
      await step(() => false);
      if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error("hangs");
      return outcome;
    },
  };
}

describe("runDrill()", () => {
  test("passes when requests fail over in time, and tells the parts of the recovery", async () => {
    const drill = begin(BLACK_HOLE);
    const report = await drill.finish();
    expect(report.verdict).toBe("PASS");
    const [run] = report.runs;
    const cart = run?.services.find(({ service }) => service === "shop/cart");
    expect(cart).toMatchObject({ inScope: true, verdict: "PASS", reasons: [] });
    const times = cart?.times ?? {};
    expect(times.firstErrorMs).toBeLessThanOrEqual(100);
    expect(times.detectedMs).toBeGreaterThanOrEqual(FAKE_DETECT_MS);
    expect(times.convergedMs).toBeLessThan(FAKE_DETECT_MS + 200);
    expect(times.failbackMs).toBeGreaterThan(1_000);
    expect(cart?.ledger.flows).toEqual({
      established: 2,
      survived: 0,
      reset: 0,
      hung: 0,
      moved: 2,
    });
    const logs = run?.services.find(({ service }) => service === "ops/logs");
    expect(logs).toMatchObject({
      inScope: false,
      verdict: "PASS",
      ledger: { requests: { failed: 0 } },
    });
    expect(report.distributions["convergedMs"]?.max).toBe(times.convergedMs);
    expect(report.command).toBe(`mesh drill run --seed ${report.seed}`);
    expect(drill.mesh.faults()).toEqual([]);
    expect(drill.mesh.canaries()).toEqual([]);
    expect(drill.mesh.lockHolder("east")).toBeUndefined();
    expect(drill.phases).toEqual([
      "lock",
      "steady state",
      "plan",
      "snapshot",
      "canaries",
      "baseline",
      "inject",
      "observe",
      "lift",
      "observe the failback",
      "stop canaries",
      "compare",
    ]);
  });

  test("fails when nobody fails over, with a sentence", async () => {
    const drill = begin(BLACK_HOLE);
    drill.mesh.trouble.blind = true;
    const report = await drill.finish();
    expect(report.verdict).toBe("FAIL");
    expect(report.runs[0]?.reasons).toEqual([
      "shop/cart: Requests went on failing until the fault was lifted",
    ]);
  });

  test("fails when connections hang", async () => {
    const drill = begin(BLACK_HOLE);
    drill.mesh.trouble.hangs = true;
    const report = await drill.finish();
    expect(report.runs[0]?.reasons).toEqual([
      "shop/cart: Connections left hanging: 2, at most 0 was promised",
    ]);
  });

  test("fails when the datapath is not what it was", async () => {
    const drill = begin(BLACK_HOLE);
    drill.mesh.trouble.leaves = true;
    const report = await drill.finish();
    expect(report.verdict).toBe("FAIL");
    expect(report.runs[0]?.restoration.proved).toBe(false);
    expect(report.runs[0]?.restoration.differences[0]).toBe(
      "east/east-node1 rest: before 0 rows (0), after 1 rows (1)",
    );
  });

  test("refuses a mesh that is not steady, before anything is touched", async () => {
    for (const spoil of [
      (mesh: FakeDrillMesh) => void (mesh.trouble.state = "suspect"),
      (mesh: FakeDrillMesh) => void mesh.trouble.broken.add("shop/cart"),
    ]) {
      const drill = begin(BLACK_HOLE);
      spoil(drill.mesh);
      const report = await drill.finish();
      expect(report.verdict).toBe("ABORTED");
      expect(report.runs[0]?.reasons[0]).toMatch(/^Not steady before: /);
      expect(drill.mesh.asked.filter((line) => line.endsWith(" inject"))).toEqual([]);
    }
  });

  test("waits for a suspicion to pass", async () => {
    const drill = begin(BLACK_HOLE);
    const { state } = drill.mesh.trouble;
    drill.mesh.trouble.state = "suspect";
    await drill.clock.advance(3_000);
    expect(drill.phases.at(-1)).toBe("steady state");
    drill.mesh.trouble.state = state;
    expect((await drill.finish()).verdict).toBe("PASS");
  });

  test("does not begin when the survivors cannot carry it", async () => {
    const alone = fakeService("shop/cart", [{ cluster: "west", tier: 0, nodes: ["west-node1"] }]);
    const drill = begin(BLACK_HOLE, {
      mesh: (clock) => createFakeDrillMesh(clock, { services: [alone] }),
    });
    const report = await drill.finish();
    expect(report.verdict).toBe("CAPACITY_CHECK_FAILED");
    expect(report.runs[0]?.reasons).toEqual([
      "shop/cart: nobody would be left to serve the clients in east",
    ]);
    expect(drill.mesh.asked.filter((line) => line.endsWith(" inject"))).toEqual([]);
  });

  test("ends at once, lifted, when something dies that it does not touch", async () => {
    const drain = begin({ ...BLACK_HOLE, fault: "drain" });
    await drain.until("observe");
    expect(drain.mesh.drains).toEqual(["west"]);
    drain.mesh.trouble.died.add("west");
    const report = await drain.finish();
    expect(report.verdict).toBe("INTERRUPTED");
    expect(report.runs[0]?.reasons[0]).toMatch(/^A real failure: east\/east-node1 says of "west"/);
    expect(drain.mesh.drains).toEqual([]);
  });

  test("a guard ends it when services suffer that it must not touch", async () => {
    const drill = begin(BLACK_HOLE);
    await drill.until("observe");
    drill.mesh.trouble.broken.add("ops/logs");
    const report = await drill.finish();
    expect(report.verdict).toBe("ABORTED");
    expect(report.runs[0]?.reasons[0]).toMatch(/^Guard: .* of requests to ops\/logs fail/);
    expect(drill.mesh.faults()).toEqual([]);
  });

  test("a user's check ends it after so many failures in a row", async () => {
    const check = {
      probe: { kind: "http", url: "http://shop.example/" },
      intervalMs: 500,
      timeoutMs: 500,
      failures: 3,
    } as const;
    const drill = begin(BLACK_HOLE, {
      change: (one) => ({ ...one, guards: { ...one.guards, checks: [check] } }),
    });
    await drill.until("observe");
    drill.mesh.trouble.check = "status 503";
    const report = await drill.finish();
    expect(report.verdict).toBe("ABORTED");
    expect(report.runs[0]?.reasons[0]).toBe(
      "Guard: http://shop.example/ failed 3 times: status 503",
    );
  });

  test("Ctrl-C lifts first and says who stopped it", async () => {
    for (const phase of ["baseline", "observe", "observe the failback"]) {
      const drill = begin(BLACK_HOLE);
      await drill.until(phase);
      drill.stop.abort();
      await drill.clock.settle();
      expect(drill.mesh.faults()).toEqual([]);
      const report = await drill.finish();
      expect(report.verdict).toBe("ABORTED");
      expect(report.runs[0]?.reasons[0]).toBe("Stopped by whoever ran it");
      expect(drill.mesh.canaries()).toEqual([]);
      expect(drill.mesh.lockHolder("west")).toBeUndefined();
    }
  });

  test("is stopped by whoever takes its lock away", async () => {
    const drill = begin(BLACK_HOLE);
    await drill.until("observe");
    const place = { cluster: "west", node: "_apiserver" };
    await drill.mesh.ask(place, { ask: "unlock", drill: "" }, new AbortController().signal);
    const report = await drill.finish();
    expect(report.verdict).toBe("ABORTED");
    expect(report.runs[0]?.reasons[0]).toBe('Stopped: the lock of cluster "west" was taken away');
    expect(drill.mesh.faults()).toEqual([]);
  });

  test("one at a time: another is refused with the first one's name", async () => {
    const drill = begin(BLACK_HOLE);
    const place = { cluster: "west", node: "_apiserver" };
    const lock = {
      ask: "lock",
      drill: "other",
      holder: "ann",
      ttlMs: 60_000,
      renew: false,
    } as const;
    await drill.mesh.ask(place, lock, new AbortController().signal);
    await expect(drill.finish()).rejects.toMatchObject({
      code: "conflict",
      message: 'Cannot drill: "other" is under way in cluster "west" (ann)',
    });
    expect(drill.mesh.lockHolder("east")).toBeUndefined();
    expect(drill.saved).toEqual([]);
  });

  for (const phase of [
    "canaries",
    "baseline",
    "inject",
    "observe",
    "lift",
    "observe the failback",
  ]) {
    test(`dead in phase "${phase}": faults, canaries and lock end by themselves`, async () => {
      const drill = begin(BLACK_HOLE);
      await drill.until(phase);
      drill.mesh.trouble.cutOff = true;
      await drill.clock.advance(FAULT_TTL_MS);
      expect(drill.mesh.faults()).toEqual([]);
      await drill.clock.advance(30_000);
      expect(drill.mesh.canaries()).toEqual([]);
      expect(drill.mesh.lockHolder("east")).toBeUndefined();
      // What the store has had since before anything was touched.
      expect(drill.saved[0]?.verdict).toBe("INTERRUPTED");
    });
  }

  test("a node that cannot be asked any more interrupts the drill", async () => {
    const drill = begin({ ...BLACK_HOLE, duration: "20s" });
    await drill.until("observe");
    drill.mesh.trouble.silent.add("west/west-node1");
    const report = await drill.finish();
    expect(report.verdict).toBe("INTERRUPTED");
    expect(report.runs[0]?.reasons[0]).toMatch(/^west\/west-node1 cannot be asked any more/);
    expect(drill.mesh.faults()).toEqual([]);
  });

  test("control plane loss: passes while traffic stays, fails when it moves", async () => {
    const flags = { ...BLACK_HOLE, fault: "control-plane-loss", cluster: "east" };
    const tiers = [
      { cluster: "east", tier: 0, nodes: ["east-node1"] },
      { cluster: "west", tier: 1, nodes: ["west-node1"] },
    ];
    const mesh = (clock: FakeClock): FakeDrillMesh =>
      createFakeDrillMesh(clock, { services: [fakeService("shop/cart", tiers)] });
    const calm = begin(flags, { mesh });
    const report = await calm.finish();
    expect(report.runs[0]?.reasons).toEqual([]);
    expect(report.verdict).toBe("PASS");
    expect(calm.mesh.asked.filter((line) => line.endsWith("break"))).toHaveLength(2);
    const moving = begin(flags, { mesh });
    moving.mesh.trouble.moves = true;
    const moved = await moving.finish();
    expect(moved.verdict).toBe("FAIL");
    expect(moved.runs[0]?.reasons[0]).toMatch(/Share of answers that moved to other clusters/);
  });

  test("repeats with a seed of its own for each run, and gives distributions", async () => {
    const drill = begin(BLACK_HOLE, { change: (one) => ({ ...one, runs: 3, seed: 7 }) });
    const report = await drill.finish();
    expect(report.runs).toHaveLength(3);
    const { p50 = 0, p95 = 0, max = 0 } = report.distributions["convergedMs"] ?? {};
    expect(p50).toBeGreaterThan(0);
    expect(p95).toBeLessThanOrEqual(max);
    expect(report.seed).toBe(7);
  });

  test("corrects the clocks of the nodes", async () => {
    const offsets = { "east-node1": 60_000, "east-node2": -60_000 };
    const drill = begin(BLACK_HOLE, { mesh: (clock) => createFakeDrillMesh(clock, { offsets }) });
    const report = await drill.finish();
    const [run] = report.runs;
    expect(report.verdict).toBe("PASS");
    const cart = run?.services.find(({ service }) => service === "shop/cart");
    expect(cart?.times.convergedMs).toBeLessThan(FAKE_DETECT_MS + 200);
    expect(run?.timeline.filter(({ what }) => what === "clock")).toHaveLength(2);
  });
});

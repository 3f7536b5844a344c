// A cluster that answers with resets: how soon it is down, between rounds too, and what must not
// take it down.
import { describe, expect, test } from "@jest/globals";
import { createRounds } from "./rounds.ts";

const THREE = ["own/n1", "west/n1", "west/n2", "west/n3", "north/n1", "north/n2", "north/n3"];
const SILENT = { silent: ["west"] };

/** Connects to west of which so many fail, to a backend on each of the nodes in turn. */
function refused(failed: number, nodes: readonly string[] = ["n1", "n2", "n3"], established = 0) {
  return {
    passive: [{ clusterId: 2, connects: failed + established, failed, established }],
    suspects: nodes.slice(0, failed).map((node, i) => ({ backendId: 70 + i, node, failures: 1 })),
  };
}

function settled(names: readonly string[] = THREE) {
  const rounds = createRounds(names);
  rounds.run(50);
  return rounds;
}

describe("judge, a cluster that refuses", () => {
  test("is down 25 ms after the first round that sees three failures on two nodes", () => {
    const rounds = settled();
    expect(rounds.glanceAgain).toBe(false);
    expect(rounds.run(1, refused(2, undefined, 5))).toEqual([]);
    expect(rounds.glanceAgain).toBe(true);
    expect(rounds.glance({ ...SILENT, ...refused(1, ["n3"]) })).toEqual(["west down"]);
    expect(rounds.view.clusters[0]).toMatchObject({ state: "down", reason: "refused" });
    expect(rounds.transitions.at(-1)?.evidence).toMatchObject({
      reason: "refused",
      silentRounds: 1,
      silentProbes: 3,
      failedConnects: 3,
    });
    expect(rounds.glanceAgain).toBe(false);
    // It stays so for the hold-down, counted from then.
    expect(rounds.until("west recovering 90")).toBeGreaterThanOrEqual(20);
  });

  test("is down with two failures only after a second silent round", () => {
    const rounds = settled();
    expect(rounds.run(1, { ...SILENT, ...refused(1, ["n1"]) })).toEqual([]);
    expect(rounds.glance({ ...SILENT })).toEqual([]);
    expect(rounds.glance({ ...SILENT, ...refused(1, ["n1"]) })).toEqual(["west down"]);
  });

  test("is not while one of its nodes answers, however much fails", () => {
    const rounds = settled();
    rounds.run(1, refused(3));
    for (let i = 0; i < 3; i += 1) {
      expect(rounds.glance({ silent: ["west/n1", "west/n2"], ...refused(9) })).toEqual([]);
    }
    expect(rounds.run(1, refused(9))).not.toContain("west down");
  });

  test("is not while nobody else has answered this very probe: it may be us", () => {
    const rounds = settled();
    rounds.run(1, refused(3));
    const nobody = { silent: ["own", "west", "north"] };
    expect(rounds.glance({ ...nobody, ...refused(9) })).toEqual([]);
    expect(rounds.glance({ ...SILENT, ...refused(9) })).toEqual(["west down"]);
  });

  test("is not before its answers are overdue by far", () => {
    const rounds = createRounds(THREE);
    rounds.run(50, { roundTripMs: 10 });
    rounds.run(1, { ...refused(3), roundTripMs: 10 });
    expect(rounds.glance({ ...SILENT, ...refused(9) })).toEqual([]);
    expect(rounds.glance({ ...SILENT, ...refused(9) })).toEqual(["west down"]);
  });

  test("is not for one pod that restarts, and a success makes all that failed before nothing", () => {
    const rounds = settled();
    rounds.run(1, refused(2, ["n1", "n1"], 5));
    expect(rounds.glance({ ...SILENT, ...refused(2, ["n1", "n1"]) })).toEqual([]);
    expect(rounds.glance({ ...SILENT, ...refused(9, ["n1"], 1) })).toEqual([]);
  });

  test("is not for connects of before a pause", () => {
    const rounds = settled();
    rounds.run(1, { ...refused(9), afterMs: 3_000, blind: true });
    expect(rounds.glanceAgain).toBe(false);
    expect(rounds.glance({ ...SILENT, ...refused(9) })).toEqual([]);
  });
});

describe("judge, between rounds", () => {
  test("says nothing of silence alone, and the next round counts it once", () => {
    const rounds = settled();
    for (let round = 1; round <= 4; round += 1) {
      for (let i = 0; i < 3; i += 1) expect(rounds.glance(SILENT)).toEqual([]);
      const found = rounds.run(1, { ...SILENT, afterMs: 25 });
      expect(found).toEqual([[], ["west suspect"], [], ["west down"]][round - 1]);
    }
  });

  test("keeps what it hears of backends for the round", () => {
    const rounds = settled();
    rounds.run(1, refused(1, ["n1"], 5));
    expect(rounds.glance(refused(1, ["n1"], 5))).toEqual([]);
    expect(rounds.glance(refused(1, ["n1"], 5))).toEqual([]);
    expect(rounds.run(1)).toEqual(["backend 70 down"]);
  });

  test("is asked for no longer than half a second, whatever goes on failing", () => {
    const rounds = settled();
    const looks = Array.from({ length: 30 }, () => {
      rounds.run(1, refused(1, ["n1"], 5));
      return rounds.glanceAgain;
    });
    expect(looks.filter(Boolean)).toHaveLength(5);
  });
});

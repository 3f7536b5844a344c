import { describe, expect, test } from "@jest/globals";
import { createRounds } from "./rounds.ts";

const THREE = ["own/n1", "west/n1", "west/n2", "west/n3", "north/n1", "north/n2", "north/n3"];
const REFUSING = { clusterId: 2, connects: 6, failed: 6 };

describe("judge, clusters", () => {
  test("a cluster that was never heard is unknown, whatever happens", () => {
    const rounds = createRounds(THREE);
    rounds.run(100, { silent: ["west"] });
    expect(rounds.stateOf(2)).toBe("unknown");
    expect(rounds.stateOf(3)).toBe("healthy");
  });

  test("a silent cluster is suspect after two rounds and down after four", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    expect(rounds.until("west suspect", { silent: ["west"] })).toBe(2);
    expect(rounds.until("west down", { silent: ["west"] })).toBe(2);
    expect(rounds.run(50, { silent: ["west"] })).toEqual([]);
    expect(rounds.stateOf(3)).toBe("healthy");
  });

  test("traffic returns after the hold-down in steps of 90 and 50 percent", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.until("west down", { silent: ["west"] });
    expect(rounds.until("west recovering 90")).toBe(20);
    expect(rounds.view.clusters[0]?.heldBackPercent).toBe(90);
    expect(rounds.until("west recovering 50")).toBe(10);
    expect(rounds.until("west healthy")).toBe(10);
    expect(rounds.view.clusters[0]?.heldBackPercent).toBe(0);
  });

  test("every relapse doubles the hold-down up to a minute, a quiet while makes it short again", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    const held = [];
    for (let i = 0; i < 7; i += 1) {
      rounds.until("west down", { silent: ["west"] });
      held.push(rounds.until("west recovering 90") / 10);
      rounds.until("west healthy");
    }
    expect(held).toEqual([2, 4, 8, 16, 32, 60, 60]);
    rounds.run(1_200);
    rounds.until("west down", { silent: ["west"] });
    expect(rounds.until("west recovering 90")).toBe(20);
  });

  test("a relapse while recovering is down again, held for longer", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.until("west down", { silent: ["west"] });
    rounds.until("west recovering 90");
    expect(rounds.until("west down", { silent: ["west"] })).toBe(4);
    expect(rounds.until("west recovering 90")).toBe(40);
  });

  test("connects that are refused as well need one silent round", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    const cut = { silent: ["west"], passive: [REFUSING] };
    expect(rounds.until("west down", cut)).toBe(1);
    expect(rounds.transitions.at(-1)?.evidence).toMatchObject({
      reason: "refused",
      failedConnects: 6,
    });
  });

  test("refused connects alone never take a cluster down whose probes are answered", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    expect(rounds.run(100, { passive: [REFUSING] })).toEqual([]);
  });

  test("probes of it that are heard while ours are not answered name the path there", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.until("west down", { silent: ["west"], heardRequests: { 2: 1e9 } });
    expect(rounds.transitions.at(-1)?.evidence["reason"]).toBe("outbound path broken");
  });

  test("a brown-out is suspect with the reason slow, used, and over when it is over", () => {
    const rounds = createRounds(THREE);
    rounds.run(600);
    rounds.until("west suspect", { roundTripMs: 90 }, 20);
    rounds.run(50, { roundTripMs: 90 });
    expect(rounds.view.clusters[0]).toMatchObject({ state: "suspect", reason: "slow" });
    expect(rounds.until("west healthy")).toBeLessThan(20);
    expect(rounds.view.clusters[0]?.reason).toBeUndefined();
  });

  test("a cluster that is no target any more is forgotten, and unknown when it returns", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.until("west down", { silent: ["west"] });
    rounds.run(1, { gone: ["west"] });
    expect(rounds.stateOf(2)).toBe("none");
    rounds.clear("west");
    expect(rounds.run(100, { silent: ["west"] })).toEqual([]);
    expect(rounds.stateOf(2)).toBe("unknown");
  });

  test("what the kernel has heard before this process began can fall silent", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.run(1, { gone: ["west"] });
    expect(rounds.run(4, { silent: ["west"] })).toEqual([]);
    expect(rounds.run(1, { silent: ["west"] })).toEqual(["west down"]);
  });

  test("what was down before this process began is down until it answers", () => {
    const downBefore = [{ clusterId: 2, family: 4 as const }];
    const rounds = createRounds(THREE, { downBefore });
    rounds.run(20, { silent: ["west"] });
    expect(rounds.stateOf(2)).toBe("down");
    rounds.until("west recovering 90");
  });
});

describe("judge, this node", () => {
  test("a pause of three seconds changes nothing, whoever was silent in it", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    for (let i = 0; i < 10; i += 1) {
      expect(rounds.run(1, { afterMs: 3_000, blind: true, silent: ["west", "north"] })).toEqual([]);
      expect(rounds.run(1, { silent: ["west"] })).toEqual([]);
    }
  });

  test("the window begins anew after a pause", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.run(3, { silent: ["west"] });
    rounds.run(1, { afterMs: 3_000, blind: true, silent: ["west"] });
    expect(rounds.until("west down", { silent: ["west"] })).toBe(4);
  });

  test("everybody silent at once is isolation: nobody goes down, and the first answer ends it", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    const nobody = { silent: ["own", "west", "north"] };
    expect(rounds.until("isolated", nobody)).toBe(3);
    expect(rounds.run(100, nobody)).toEqual([]);
    expect(rounds.view.isolated).toBe(true);
    expect(rounds.view.nodesDown).toEqual([]);
    expect(rounds.run(1, { silent: ["own", "west"] })).toEqual(["connected"]);
    expect(rounds.until("west down", { silent: ["own", "west"] })).toBe(4);
  });

  test("one cluster and the own nodes are enough to know that it is us", () => {
    const rounds = createRounds(["own/n1", "west/n1"]);
    rounds.run(50);
    expect(rounds.until("isolated", { silent: ["own", "west"] })).toBe(3);
  });

  test("with the own nodes answering it is the cluster, and so it is without any witness", () => {
    for (const names of [["own/n1", "west/n1"], ["west/n1"]]) {
      const rounds = createRounds(names);
      rounds.run(50);
      expect(rounds.until("west down", { silent: ["west"] })).toBe(5);
      expect(rounds.view.isolated).toBe(false);
    }
  });

  test("clusters that went down before do not count as witnesses, the rest does", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.until("west down", { silent: ["west"] });
    rounds.run(100, { silent: ["west"] });
    expect(rounds.until("isolated", { silent: ["own", "west", "north"] })).toBe(3);
  });

  test("the end of the peers is the end of isolation", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.run(10, { silent: ["own", "west", "north"] });
    expect(rounds.run(1, { gone: ["own", "west", "north"] })).toEqual(["connected"]);
  });
});

describe("judge, view", () => {
  test("asks to probe a node that failed connects have named and that nobody probes", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    const named = { backendId: 7, node: "n9", failures: 3 };
    expect(rounds.run(1, { suspects: [named] })).toEqual([]);
    expect(rounds.view.probeAlso).toEqual([
      { clusterId: 2, cluster: "west", family: 4, node: "n9", probesPerRound: 3 },
    ]);
    rounds.join("west/n9");
    expect(rounds.run(2)).toEqual(["backend 7 down"]);
  });

  test("a node so found that does not answer is down, and its backends with it", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.run(1, { suspects: [{ backendId: 7, node: "n9", failures: 3 }] });
    rounds.join("west/n9");
    expect(rounds.run(10, { silent: ["west/n9"] })).toEqual(["west/n9 down"]);
    expect(rounds.view.nodesDown.map(({ node }) => node)).toEqual(["n9"]);
    expect(rounds.view.backendsDown).toEqual([]);
  });
});

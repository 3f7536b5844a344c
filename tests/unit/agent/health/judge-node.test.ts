import { describe, expect, test } from "@jest/globals";
import { createRounds } from "./rounds.ts";

const THREE = ["own/n1", "west/n1", "west/n2", "west/n3", "north/n1"];

describe("judge, nodes", () => {
  test("a silent node among several is down alone, and its cluster stays healthy", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    expect(rounds.until("west/n2 down", { silent: ["west/n2"] })).toBe(5);
    expect(rounds.run(50, { silent: ["west/n2"] })).toEqual([]);
    expect(rounds.stateOf(2)).toBe("healthy");
    expect(rounds.view.nodesDown).toEqual([
      { clusterId: 2, cluster: "west", family: 4, node: "n2" },
    ]);
  });

  test("it is probed more while in doubt, and still while it is down", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.run(2, { silent: ["west/n2"] });
    expect(rounds.view.probeAlso).toMatchObject([{ node: "n2", probesPerRound: 3 }]);
    rounds.run(20, { silent: ["west/n2"] });
    expect(rounds.view.probeAlso).toMatchObject([{ node: "n2", probesPerRound: 1 }]);
  });

  test("it is back after the hold-down, which doubles", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.until("west/n2 down", { silent: ["west/n2"] });
    expect(rounds.until("west/n2 healthy")).toBe(20);
    rounds.until("west/n2 down", { silent: ["west/n2"] });
    expect(rounds.until("west/n2 healthy")).toBe(40);
  });

  test("one that is not probed for a while relapses all the same, and not after two minutes", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    const silent = { silent: ["west/n2"] };
    for (const heldRounds of [20, 40, 80]) {
      rounds.until("west/n2 down", silent);
      expect(rounds.until("west/n2 healthy")).toBe(heldRounds);
      rounds.run(10, { gone: ["west/n2"] });
    }
    rounds.run(1_200, { gone: ["west/n2"] });
    rounds.run(10);
    rounds.until("west/n2 down", silent);
    expect(rounds.until("west/n2 healthy")).toBe(20);
  });

  test("the nodes of a cluster that is cut are not down one by one", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    const found = rounds.run(50, { silent: ["west"] });
    expect(found).toEqual(["west suspect", "west down"]);
  });

  test("a cluster with one node left falls silent with it", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    rounds.run(20, { silent: ["west/n1", "west/n2"] });
    expect(rounds.run(20, { silent: ["west"] })).toEqual(["west suspect", "west down"]);
  });

  test("a node of our own cluster is judged too, and our cluster never is", () => {
    const rounds = createRounds(THREE);
    rounds.run(50);
    expect(rounds.run(50, { silent: ["own/n1"] })).toEqual(["own/n1 down"]);
    expect(rounds.stateOf(1)).toBe("none");
  });

  test("a node that was never heard is down only if connections name it", () => {
    const rounds = createRounds(THREE);
    expect(rounds.run(50, { silent: ["west/n3"] })).not.toContain("west/n3 down");
    const suspects = [{ backendId: 7, node: "n3", failures: 1 }];
    const found = rounds.run(10, { silent: ["west/n3"], suspects });
    expect(found).toEqual(["west/n3 down"]);
  });
});

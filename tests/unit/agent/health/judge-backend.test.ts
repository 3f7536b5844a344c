import { describe, expect, test } from "@jest/globals";
import { createRounds } from "./rounds.ts";

const THREE = ["own/n1", "west/n1", "west/n2", "west/n3", "north/n1"];
const fails = (failures: number) => ({ suspects: [{ backendId: 7, failures }] });

function settled() {
  const rounds = createRounds(THREE);
  rounds.run(50);
  return rounds;
}

describe("judge, backends", () => {
  test("three failed connects within a second, its node answering: down at once", () => {
    const rounds = settled();
    expect(rounds.run(2, fails(1))).toEqual([]);
    expect(rounds.run(1, fails(1))).toEqual(["backend 7 down"]);
    expect(rounds.view.backendsDown).toEqual([7]);
    expect(rounds.view.nodesDown).toEqual([]);
  });

  test("failures that are far apart, or followed by a success, are nothing", () => {
    const rounds = settled();
    for (let i = 0; i < 10; i += 1) {
      rounds.run(1, fails(1));
      expect(rounds.run(20)).toEqual([]);
      rounds.run(1, fails(2));
      expect(rounds.run(1, { suspects: [{ backendId: 7, established: 1 }] })).toEqual([]);
    }
  });

  test("one failure is enough while all connects to its cluster fail", () => {
    const rounds = settled();
    const passive = [{ clusterId: 2, connects: 5, failed: 5 }];
    expect(rounds.run(1, { ...fails(1), passive })).toEqual(["backend 7 down"]);
  });

  test("a service whose backends all refuse loses them, and not its cluster", () => {
    const rounds = settled();
    const suspects = [7, 8, 9].map((backendId) => ({ backendId, failures: 2 }));
    const passive = [{ clusterId: 2, connects: 6, failed: 6 }];
    const found = rounds.run(3, { suspects, passive });
    expect(found).toEqual(["backend 7 down", "backend 8 down", "backend 9 down"]);
    expect(rounds.stateOf(2)).toBe("healthy");
  });

  test("while its node or its cluster is silent, it is not to blame", () => {
    const rounds = settled();
    const cut = rounds.run(20, { ...fails(5), silent: ["west"] });
    expect(cut).toEqual(["west suspect", "west down"]);
    const dead = settled().run(20, { ...fails(5), silent: ["west/n1"] });
    expect(dead).toEqual(["west/n1 down"]);
  });

  test("what failed while its cluster was down is not held against it when that is back", () => {
    const rounds = settled();
    rounds.until("west down", { ...fails(5), silent: ["west"] });
    rounds.run(10, { ...fails(5), silent: ["west"] });
    rounds.until("west recovering 90");
    expect(rounds.run(60)).toEqual(["west recovering 50", "west healthy"]);
  });

  test("it is tried again after a back-off that doubles while it fails", () => {
    const rounds = settled();
    rounds.run(1, fails(3));
    const waits = [];
    for (let i = 0; i < 7; i += 1) {
      waits.push(rounds.until("backend 7 recovering") / 10);
      expect(rounds.run(1, fails(1))).toEqual(["backend 7 down"]);
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 60, 60]);
  });

  test("a trial without a failure, or with a success, ends it", () => {
    const rounds = settled();
    rounds.run(1, fails(3));
    rounds.until("backend 7 recovering");
    expect(rounds.until("backend 7 healthy")).toBe(50);
    rounds.run(1, fails(3));
    rounds.until("backend 7 recovering");
    const success = { suspects: [{ backendId: 7, established: 1 }] };
    expect(rounds.run(1, success)).toEqual(["backend 7 healthy"]);
  });

  test("a success while it is down ends it too", () => {
    const rounds = settled();
    rounds.run(1, fails(3));
    const success = { suspects: [{ backendId: 7, established: 1 }] };
    expect(rounds.run(1, success)).toEqual(["backend 7 healthy"]);
  });

  test("its node was away and is back: tried at once", () => {
    const rounds = settled();
    for (let i = 0; i < 4; i += 1) {
      rounds.run(1, fails(3));
      rounds.until("backend 7 recovering");
    }
    rounds.run(1, fails(3));
    rounds.until("west/n1 down", { silent: ["west/n1"] });
    rounds.until("west/n1 healthy");
    expect(rounds.transitions.at(-1)?.subject.kind).toBe("backend");
    expect(rounds.transitions.at(-1)?.to).toBe("recovering");
  });

  test("whoever cannot be probed is judged by its connects alone, after a second", () => {
    const rounds = settled();
    const unprobed = { suspects: [{ backendId: 7, node: "n9", failures: 3 }] };
    expect(rounds.until("backend 7 down", unprobed)).toBe(12);
  });

  test("a backend on this very node needs no probe", () => {
    const rounds = settled();
    const local = { backendId: 3, clusterId: 1, cluster: "own", node: "n0", failures: 3 };
    expect(rounds.run(1, { suspects: [local] })).toEqual(["backend 3 down"]);
    expect(rounds.view.probeAlso).toEqual([]);
  });

  test("retransmissions have its node probed and are no failure", () => {
    const rounds = settled();
    const slow = { suspects: [{ backendId: 7, node: "n9", retransmissions: 2 }] };
    expect(rounds.run(30, slow)).toEqual([]);
    expect(rounds.view.probeAlso).toMatchObject([{ node: "n9" }]);
    rounds.run(60);
    expect(rounds.view.probeAlso).toEqual([]);
  });

  test("nothing is remembered of the backends of a cluster that is gone", () => {
    const rounds = settled();
    rounds.run(1, fails(3));
    rounds.run(1, { gone: ["west"] });
    expect(rounds.view.backendsDown).toEqual([]);
  });

  test("what is remembered has a limit", () => {
    const rounds = createRounds(THREE, { limits: { backendsMax: 2 } });
    rounds.run(50);
    const suspects = [7, 8, 9].map((backendId) => ({ backendId, failures: 3 }));
    rounds.run(1, { suspects });
    expect(rounds.view.backendsDown).toEqual([7, 8]);
  });
});

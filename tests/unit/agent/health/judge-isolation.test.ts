// Whose fault a silence is, in the narrow cases: each test here fails when one rule of the judge is
// left out, and none of them is a matter of chance.
import { describe, expect, test } from "@jest/globals";
import { createRounds, type RoundOptions } from "./rounds.ts";

const THREE = ["own/n1", "west/n1", "west/n2", "west/n3", "north/n1", "north/n2", "north/n3"];
const EVERYBODY = { silent: ["own", "west", "north"] };
const REFUSING = { clusterId: 2, connects: 6, failed: 6 };

function settled(names: readonly string[] = THREE, options: RoundOptions = {}) {
  const rounds = createRounds(names);
  rounds.run(50, options);
  return rounds;
}

describe("findWitnesses()", () => {
  test("who has answered a round ago is one: the cluster that was silent before is down", () => {
    const rounds = settled();
    rounds.run(3, { silent: ["west"] });
    expect(rounds.run(1, EVERYBODY)).toEqual(["west down"]);
  });

  test("who has been silent for two rounds is none: it may be our uplink, and it is", () => {
    const rounds = settled();
    expect(rounds.run(2, { silent: ["west"] })).toEqual(["west suspect"]);
    const found = rounds.run(20, EVERYBODY);
    expect(found).toContain("isolated");
    expect(found).not.toContain("west down");
  });

  test("refused connects need one that answers in this very round", () => {
    const passive = [REFUSING];
    expect(settled().run(1, { ...EVERYBODY, passive })).toEqual([]);
    const others = { silent: ["west", "own"], passive };
    expect(settled().run(1, others)).toEqual(["west down"]);
  });

  test("a node needs one too, of its cluster, and anybody if it is of our own", () => {
    for (const node of ["own/n1", "west/n1"]) {
      const rounds = settled();
      rounds.run(3, { silent: [node] });
      expect(rounds.run(20, EVERYBODY)).not.toContain(`${node} down`);
      const witnessed = settled();
      witnessed.run(4, { silent: [node] });
      expect(witnessed.run(1, EVERYBODY)).toEqual([`${node} down`]);
    }
  });

  test("who only has time left to answer after a pause is none", () => {
    // Our uplink was cut in the pause; an answer from the north takes 400 ms, and is not late yet
    // when four rounds of the west are.
    const roundTripMs = { north: 400 };
    const rounds = settled(["west/n1", "west/n2", "west/n3", "north/n1"], { roundTripMs });
    const cut = { silent: ["west", "north"], roundTripMs };
    rounds.run(1, { ...cut, afterMs: 3_000, blind: true });
    const found = rounds.run(30, cut);
    expect(found).toContain("isolated");
    expect(found).not.toContain("west down");
  });

  test("who only has time left to answer is none for refused connects either", () => {
    const roundTripMs = { north: 400 };
    const rounds = settled(["west/n1", "west/n2", "west/n3", "north/n1"], { roundTripMs });
    const cut = { silent: ["west", "north"], roundTripMs };
    rounds.run(1, { ...cut, afterMs: 3_000, blind: true });
    expect(rounds.run(2, { ...cut, passive: [REFUSING] })).not.toContain("west down");
  });
});

describe("createIsolation()", () => {
  test("a moment of silence on our side begins everybody's window anew", () => {
    // Two rounds are no isolation yet. What the west was asked in them was lost on our side, and
    // its next answer takes 300 ms: longer than the two rounds that it would have left.
    const roundTripMs = { west: 300 };
    const rounds = settled(THREE, { roundTripMs });
    expect(rounds.run(2, { ...EVERYBODY, roundTripMs })).not.toContain("isolated");
    rounds.run(4, { silent: ["west"], roundTripMs });
    rounds.run(20, { roundTripMs });
    expect(rounds.transitions.map(({ to }) => to)).not.toContain("down");
  });

  test("a cluster that was cut in that moment is down four rounds after it", () => {
    const rounds = settled();
    rounds.run(2, EVERYBODY);
    expect(rounds.until("west down", { silent: ["west"] })).toBe(5);
  });

  test("while it lasts no cluster goes down, even if it is the last that is left", () => {
    const rounds = settled(["own/n1", "west/n1"]);
    rounds.until("isolated", { silent: ["own", "west"] });
    expect(rounds.run(50, { silent: ["west"], gone: ["own"] })).toEqual([]);
    expect(rounds.view.isolated).toBe(true);
    expect(rounds.stateOf(2)).not.toBe("down");
  });

  test("while it lasts no backend goes down, and none is asked for", () => {
    const rounds = settled();
    rounds.until("isolated", EVERYBODY);
    const local = { backendId: 3, clusterId: 1, cluster: "own", node: "n0", failures: 5 };
    const remote = { backendId: 7, node: "n9", failures: 5 };
    expect(rounds.run(20, { ...EVERYBODY, suspects: [local, remote] })).toEqual([]);
    expect(rounds.view.backendsDown).toEqual([]);
    expect(rounds.view.probeAlso).toEqual([]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { probesMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import {
  createProbeRows,
  targetKey,
  type ProbeMap,
  type ProbeTarget,
} from "../../../../agent/health/probe-rows.ts";

function target(node: string, address = "10.2.1.1"): ProbeTarget {
  return { clusterId: 2, cluster: "west", family: address.includes(":") ? 6 : 4, node, address };
}

function start(maxEntries = 8) {
  const map = createMemoryMap(probesMap, { maxEntries });
  let cookies = 0n;
  const rows = createProbeRows({ map, newCookie: () => ++cookies });
  /** As from_overlay does. */
  const answer = (index: number, atNs: bigint): void => {
    const row = map.get(index);
    if (row === undefined) throw new Error(`no row ${index}`);
    map.put(index, {
      ...row,
      replies: row.replies + 1n,
      lastReplyNs: atNs,
      roundTripNs: 2_000_000n,
    });
  };
  return { map, rows, answer };
}

describe("createProbeRows()", () => {
  test("clears what another agent left", () => {
    const map = createMemoryMap(probesMap, { maxEntries: 4 });
    const left = map.get(2);
    if (left !== undefined) map.put(2, { ...left, cookie: 9n });
    createProbeRows({ map, newCookie: () => 1n });
    expect(map.get(2)?.cookie).toBe(0n);
  });

  test("gives every target a row with a cookie of its own, and numbers its requests", () => {
    const { map, rows } = start();
    const [a, b] = [target("a"), target("b", "fd00::2")];
    expect(rows.setTargets([a, b])).toBe(0);
    expect([map.get(0)?.cookie, map.get(1)?.cookie]).toEqual([1n, 2n]);
    expect(rows.nextRequest(targetKey(b))).toEqual({
      address: "fd00::2",
      cookie: 2n,
      target: 1,
      sequence: 1,
    });
    expect(rows.nextRequest(targetKey(b))?.sequence).toBe(2);
    expect(rows.nextRequest("2/4/nobody")).toBeUndefined();
  });

  test("counts requests as due from the next look on, those taken back never", () => {
    const { rows, answer } = start();
    rows.setTargets([target("a")]);
    const key = targetKey(target("a"));
    rows.nextRequest(key);
    const lost = rows.nextRequest(key);
    if (lost !== undefined) rows.takeBack(lost);
    expect(rows.isHeard(key)).toBe(false);
    answer(0, 7_000_000n);
    expect(rows.observe()).toMatchObject([
      { node: "a", sent: 1, answered: 1, lastAnswerMs: 7, roundTripMs: 2 },
    ]);
    rows.nextRequest(key);
    expect(rows.isHeard(key)).toBe(true);
  });

  test("keeps the totals of targets that stay, and begins anew with an address", () => {
    const { map, rows, answer } = start();
    rows.setTargets([target("a"), target("b", "10.2.2.1")]);
    rows.nextRequest(targetKey(target("b")));
    answer(1, 1_000_000n);
    rows.setTargets([target("b", "10.2.2.1")]);
    expect(map.get(0)?.cookie).toBe(0n);
    expect(rows.observe()).toMatchObject([{ node: "b", answered: 1 }]);
    rows.setTargets([target("b", "10.2.9.1")]);
    expect(rows.observe()).toMatchObject([{ node: "b", answered: 0, lastAnswerMs: undefined }]);
  });

  test("reads all rows at once if many answers are awaited, and else only those", () => {
    const { map, answer } = start(64);
    const targets = Array.from({ length: 40 }, (_, i) => target(`n${i}`, `10.2.${i}.1`));
    let reads: string[] = [];
    const watched: ProbeMap = {
      name: map.name,
      maxEntries: map.maxEntries,
      put: (index, probe) => map.put(index, probe),
      putBatch: (many) => map.putBatch(many),
      get: (index) => (reads.push(`row ${index}`), map.get(index)),
      entries: (count) => (reads.push("all"), map.entries(count)),
    };
    const rows = createProbeRows({ map: watched, newCookie: () => 1n });
    rows.setTargets(targets);
    const ask = (...numbers: number[]): void => {
      for (const i of numbers) rows.nextRequest(targetKey(targets[i] ?? target("")));
    };
    const look = (): readonly string[] => {
      reads = [];
      rows.observe();
      return reads;
    };
    expect(look()).toEqual([]);
    ask(3, 7);
    answer(7, 5_000_000n);
    expect(look()).toEqual(["row 3", "row 7"]);
    expect(rows.isHeard(targetKey(targets[7] ?? target("")))).toBe(true);
    expect(look()).toEqual(["row 3"]);
    for (let i = 0; i < 100; i++) look();
    expect(look()).toEqual([]);
    ask(...targets.keys());
    answer(39, 6_000_000n);
    expect(look()).toEqual(["all"]);
    expect(rows.observe().at(39)).toMatchObject({ sent: 1, answered: 1, lastAnswerMs: 6 });
  });

  test("says how many found no row, and gives freed rows away again", () => {
    const { rows } = start(1);
    expect(rows.setTargets([target("a"), target("b")])).toBe(1);
    expect(rows.setTargets([target("b")])).toBe(0);
    expect(rows.nextRequest(targetKey(target("b")))?.target).toBe(0);
  });
});

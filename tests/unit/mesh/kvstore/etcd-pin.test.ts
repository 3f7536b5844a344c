// Knowing an etcd again.
import { describe, expect, test } from "@jest/globals";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { advancePin, EtcdWitness, pinFromHeader } from "../../../../mesh/kvstore/etcd-pin.ts";

const pin = (clusterId: string, revision: bigint): { clusterId: string; revision: bigint } => ({
  clusterId,
  revision,
});

function refused(action: () => unknown): boolean {
  try {
    action();
  } catch (error) {
    return isMeshError(error, "cluster_changed");
  }
  return false;
}

describe("advancePin()", () => {
  for (const { name, before, seen, changed } of [
    { name: "takes the first for good", before: undefined, seen: pin("1", 5n), changed: false },
    { name: "moves forward", before: pin("1", 5n), seen: pin("1", 6n), changed: false },
    { name: "stands still", before: pin("1", 5n), seen: pin("1", 5n), changed: false },
    { name: "does not go back", before: pin("1", 5n), seen: pin("1", 4n), changed: true },
    { name: "takes no other id", before: pin("1", 5n), seen: pin("2", 9n), changed: true },
  ])
    test(name, () => {
      expect(refused(() => advancePin(before, seen))).toBe(changed);
      if (!changed) expect(advancePin(before, seen)).toEqual(seen);
    });
});

test("pinFromHeader() keeps all 64 bits", () => {
  const header = { cluster_id: "18446744073709551615", revision: "9223372036854775807" };
  expect(pinFromHeader(header)).toEqual({
    clusterId: "18446744073709551615",
    revision: 9223372036854775807n,
  });
});

describe("EtcdWitness", () => {
  test("remembers the latest write, in whatever order it hears of them", () => {
    const witness = new EtcdWitness();
    witness.sawWrite("a", 5n);
    witness.sawWrite("b", 3n);
    expect(witness.write).toEqual({ key: "a", revision: 5n });
  });

  test("recognises an etcd that is as far as the highest revision seen", () => {
    const witness = new EtcdWitness();
    witness.saw(pin("1", 7n));
    witness.saw(pin("1", 6n));
    expect(refused(() => witness.recognise(pin("1", 7n)))).toBe(false);
    expect(witness.epoch).toBe(0);
  });

  test("begins a new epoch with another etcd, and knows that one from then on", () => {
    const witness = new EtcdWitness();
    witness.saw(pin("1", 7n));
    witness.sawWrite("a", 7n);
    expect(refused(() => witness.recognise(pin("2", 1n)))).toBe(true);
    expect(witness.epoch).toBe(1);
    expect(witness.write).toBeUndefined();
    expect(refused(() => witness.recognise(pin("2", 2n)))).toBe(false);
  });
});

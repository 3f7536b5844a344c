import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createClaims } from "../../../../agent/desired/claims.ts";

/** A row is text: its key, "=", its owner. */
const keyOf = (row: string): string => row.split("=")[0] ?? "";

describe("createClaims()", () => {
  test("gives a key to the lowest rank, then to the first name, and passes it on", () => {
    const claims = createClaims({ name: "t", keyOf });
    const table = claims.desired;
    const [own, peer] = [claims.source(0), claims.source(2)];
    peer.claim("b", ["x=peer-b"]);
    peer.claim("a", ["x=peer-a"]);
    expect(table.get("x")).toBe("x=peer-a");
    own.claim("z", ["x=own"]);
    expect(table.get("x")).toBe("x=own");
    expect(claims.contested()).toBe(1);
    own.claim("z", []);
    peer.claim("a", []);
    expect(table.get("x")).toBe("x=peer-b");
    expect(claims.contested()).toBe(0);
    peer.clear();
    expect(table.size).toBe(0);
  });

  test("keeps what an object claims again, and releases what it does not", () => {
    const claims = createClaims({ name: "t", keyOf });
    const [table, source] = [claims.desired, claims.source(0)];
    source.claim("a", ["x=1", "y=1"]);
    source.claim("a", ["y=2", "z=2"]);
    expect(Object.fromEntries(table.entries())).toEqual({ y: "y=2", z: "z=2" });
  });

  test("an equal row of the next owner is the same row to readers", () => {
    const equals = (a: { text: string }, b: { text: string }): boolean => a.text === b.text;
    const claims = createClaims({ name: "t", keyOf: () => "x", equals });
    const [own, peer] = [claims.source(0), claims.source(1)];
    const row = { text: "same" };
    own.claim("a", [row]);
    peer.claim("b", [{ text: "same" }]);
    own.claim("a", []);
    expect(claims.desired.get("x")).toBe(row);
    peer.claim("b", [{ text: "other" }]);
    expect(claims.desired.get("x")).toEqual({ text: "other" });
  });

  const change = fc.record({
    rank: fc.nat(2),
    name: fc.constantFrom("a", "b", "c"),
    keys: fc.uniqueArray(fc.constantFrom("x", "y", "z"), { maxLength: 3 }),
    clear: fc.boolean(),
  });

  test("ends with the same owners whatever came first", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const claims = createClaims({ name: "t", keyOf });
        const table = claims.desired;
        const sources = [claims.source(0), claims.source(1), claims.source(2)];
        const final = new Map<string, (typeof changes)[number]>();
        for (const item of changes) {
          if (item.clear && item.keys.length === 0) {
            sources[item.rank]?.clear();
            for (const key of final.keys()) {
              if (key.startsWith(`${item.rank}`)) final.delete(key);
            }
          } else {
            const text = `${item.rank}${item.name}`;
            sources[item.rank]?.claim(
              item.name,
              item.keys.map((key) => `${key}=${text}`),
            );
            final.set(text, item);
          }
        }
        const wanted = new Map<string, string>();
        let contested = 0;
        for (const key of ["x", "y", "z"] as const) {
          const claimants = [...final].filter(([, { keys }]) => keys.includes(key));
          const [first] = claimants.map(([text]) => text).sort();
          if (first !== undefined) wanted.set(key, `${key}=${first}`);
          if (claimants.length > 1) contested++;
        }
        expect(new Map(table.entries())).toEqual(wanted);
        expect(claims.contested()).toBe(contested);
      }),
    );
  });
});

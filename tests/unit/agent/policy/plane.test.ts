import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  canonicalPlane,
  LAST_ORDER,
  type Contribution,
  type PlaneEntry,
} from "../../../../agent/policy/plane.ts";
import {
  EVERY_PORT,
  portPrefixHolds,
  prefixesFromMatch,
  type PortPrefix,
} from "../../../../agent/policy/port-prefixes.ts";

const tcp = (first: number, last = first): PortPrefix[] =>
  prefixesFromMatch({ protocol: "TCP", first, last });
const say = (verdict: "allow" | "deny", number: number, ports: PortPrefix[]): Contribution => ({
  verdict,
  rule: { number, order: String(number) },
  ports,
});
const spoken = (...contributions: readonly Contribution[]): string[] =>
  canonicalPlane(contributions).map(
    ({ verdict, rule, protocol, port, bits }) => `${verdict} ${rule} ${protocol}/${port}/${bits}`,
  );

describe("canonicalPlane()", () => {
  test("a deny of the same prefix takes the place of an allow", () => {
    expect(spoken(say("allow", 1, tcp(80)), say("deny", 2, tcp(80)))).toEqual(["deny 2 6/80/16"]);
  });

  test("an allow within a deny is left out", () => {
    expect(spoken(say("allow", 1, tcp(81)), say("deny", 2, tcp(80, 83)))).toEqual([
      "deny 2 6/80/14",
    ]);
    expect(spoken(say("allow", 1, tcp(0, 65_535)), say("deny", 2, [EVERY_PORT]))).toEqual([
      "deny 2 0/0/0",
    ]);
  });

  test("a deny within an allow stands beside it", () => {
    expect(spoken(say("allow", 1, [EVERY_PORT]), say("deny", 2, tcp(80)))).toEqual([
      "allow 1 0/0/0",
      "deny 2 6/80/16",
    ]);
  });

  test("of equal ones the first rule in order is named, whoever came first", () => {
    const [a, b] = [say("allow", 1, tcp(80)), say("allow", 2, tcp(80))];
    expect(spoken(a, b)).toEqual(["allow 1 6/80/16"]);
    expect(spoken(b, a)).toEqual(["allow 1 6/80/16"]);
  });

  test("what holds without a rule is named only where no rule says the same", () => {
    const unruled: Contribution = {
      verdict: "allow",
      rule: { number: 0, order: LAST_ORDER },
      ports: [EVERY_PORT],
    };
    expect(spoken(unruled, say("allow", 7, [EVERY_PORT]))).toEqual(["allow 7 0/0/0"]);
  });

  test("narrower ones stay beside wider ones: the most specific rule is named", () => {
    expect(spoken(say("allow", 2, [EVERY_PORT]), say("allow", 1, tcp(80)))).toEqual([
      "allow 2 0/0/0",
      "allow 1 6/80/16",
    ]);
  });

  test("the longest prefix decides each port as the rules together do", () => {
    const port = fc.nat({ max: 15 });
    const contribution = fc
      .tuple(fc.constantFrom("allow" as const, "deny" as const), fc.nat(5), port, port)
      .map(([verdict, number, a, b]) =>
        say(verdict, number, b === 0 ? [EVERY_PORT] : tcp(Math.min(a, b), Math.max(a, b))),
      );
    fc.assert(
      fc.property(fc.array(contribution, { maxLength: 6 }), port, (contributions, asked) => {
        const entries = canonicalPlane(contributions);
        const speaking = contributions.filter(({ ports }) =>
          ports.some((prefix) => portPrefixHolds(prefix, 6, asked)),
        );
        const wanted = speaking.some(({ verdict }) => verdict === "deny")
          ? "deny"
          : speaking[0]?.verdict;
        expect(longest(entries, asked)?.verdict).toBe(wanted);
        expect(canonicalPlane([...contributions].reverse())).toEqual(entries);
      }),
    );
  });
});

function longest(entries: readonly PlaneEntry[], port: number): PlaneEntry | undefined {
  const length = ({ protocol, bits }: PlaneEntry): number => (protocol === 0 ? -1 : bits);
  const holding = entries.filter((entry) => portPrefixHolds(entry, 6, port));
  return holding.sort((a, b) => length(b) - length(a))[0];
}

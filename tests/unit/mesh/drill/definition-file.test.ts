import { describe, expect, test } from "@jest/globals";
import { definitionDigest, describeFault } from "../../../../mesh/drill/definition.ts";
import {
  definitionFromFlags,
  parseDefinition,
  parseDefinitions,
} from "../../../../mesh/drill/definition-file.ts";

const WEST_DIES = `version: 1
name: west-dies
hypothesis: Losing west costs no request of the cart for longer than a second.
fault:
  kind: cluster-black-hole
  cluster: west
scope:
  services: [shop/cart]
duration: 20s
objectives:
  default: { rto: 1s, maxHungFlows: 0 }
  services:
    shop/cart: { rto: 500ms }
guards:
  checks:
    - { http: "http://shop.example/", interval: 1s, failures: 2 }
schedule: { every: week, days: [tue], at: "03:00", jitter: 30m, windows: ["mon-fri 02:00-05:00"] }
`;

function refusal(text: string): string {
  try {
    parseDefinition("d.yaml", text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("was accepted");
}

describe("parseDefinition()", () => {
  test("reads a whole file", () => {
    const definition = parseDefinition("d.yaml", WEST_DIES);
    expect(definition).toMatchObject({
      name: "west-dies",
      fault: { kind: "cluster-black-hole", cluster: "west", peer: "", node: "", percent: 100 },
      durationMs: 20_000,
      objectives: {
        default: { rtoMs: 1_000, maxHungFlows: 0 },
        services: { "shop/cart": { rtoMs: 500, maxHungFlows: 0 } },
      },
      guards: { collateralErrorRatio: 0.05, checks: [{ intervalMs: 1_000, failures: 2 }] },
      canaries: { protocol: "connect", perSecond: 20 },
      runs: 1,
      schedule: { days: ["tue"], atMinute: 180, jitterMs: 1_800_000 },
    });
  });

  const base = "version: 1\nname: d\nfault:\n  kind: cluster-black-hole\n  cluster: west\n";
  for (const [text, sentence] of [
    [
      `${base}scope:\n  flowpercent: 3\n`,
      'Cannot use d.yaml:7:3: scope has no field "flowpercent": want flowPercent',
    ],
    [
      `${base}colour: red\n`,
      'Cannot use d.yaml:6:1: the drill has no field "colour": want one of version, name, hypothes',
    ],
    [
      base.replace("black-hole", "blackhole"),
      'Cannot use d.yaml:4:9: fault.kind is "cluster-blackhole": want cluster-black-hole',
    ],
    [
      base.replace("cluster-black-hole", "key-rotation"),
      'Cannot use d.yaml:4:9: fault.kind is "key-rotation": it needs encryption, which this mesh h',
    ],
    [
      `${base}duration: 20\n`,
      "Cannot use d.yaml:6:11: duration is 20: want a time such as 250ms, 20s or 3m, from 1s to 30",
    ],
    [
      `${base}objectives:\n  default: { rto: fast }\n`,
      'Cannot use d.yaml:7:19: objectives.default.rto is "fast": want a time such as 250ms, 20s or',
    ],
    [
      `${base}guards:\n  checks:\n    - { interval: 1s }\n`,
      "Cannot use d.yaml:8:7: guards.checks[0].http and exec: want exactly one of both",
    ],
    [
      `${base}scope: { services: [cart] }\n`,
      'Cannot use d.yaml:6:20: scope.services names "cart": want NAMESPACE/NAME',
    ],
    [base.replace("version: 1", "version: 2"), "Cannot use d.yaml:1:10: version is 2: want 1"],
    ["name: d\n", "Cannot use d.yaml:1:1: version is missing: want 1"],
    [
      `${base}  peer: east\n`,
      "Cannot use d.yaml:6:9: fault.peer does not belong to a cluster-black-hole: leave it out",
    ],
    [`${base}fault: [\n`, "Cannot use d.yaml:6:1: it is no YAML: "],
    ["", "Cannot use d.yaml: it holds no drill"],
  ] as const) {
    test(sentence, () => {
      expect(refusal(text).startsWith(sentence)).toBe(true);
    });
  }

  test("control plane faults promise that traffic stays, and last 15 minutes at most", () => {
    const text = base.replace("cluster-black-hole", "control-plane-loss");
    const { objectives } = parseDefinition("d.yaml", text);
    expect(objectives.default).toEqual({
      maxLostRequests: 0,
      maxHungFlows: 0,
      maxReconnects: 0,
      maxMovedRatio: 0,
    });
    expect(refusal(`${text}duration: 16m\n`)).toMatch(/from 1s to 15m$/);
  });
});

describe("parseDefinitions()", () => {
  test("reads several documents and refuses a name twice", () => {
    const other = WEST_DIES.replace("west-dies", "other");
    expect(parseDefinitions("d.yaml", `${WEST_DIES}---\n${other}`)).toHaveLength(2);
    expect(() => parseDefinitions("d.yaml", `${WEST_DIES}---\n${WEST_DIES}`)).toThrow(
      'Cannot use d.yaml: two drills are named "west-dies"',
    );
  });
});

describe("definitionFromFlags()", () => {
  test("is the value that a file with the same words gives", () => {
    const file = parseDefinition(
      "d.yaml",
      `version: 1
name: cut
fault: { kind: partition, cluster: east, peer: west }
scope: { direction: outbound, flowPercent: 30, services: [shop/cart] }
objectives: { default: { rto: 2s } }
`,
    );
    const flags = definitionFromFlags({
      name: "cut",
      fault: "partition",
      cluster: "east",
      peer: "west",
      direction: "outbound",
      "flow-percent": "30",
      service: ["shop/cart"],
      rto: "2s",
    });
    expect(flags).toEqual(file);
    expect(definitionDigest(flags)).toBe(definitionDigest(file));
    expect(describeFault(flags)).toBe("east and west, outbound only, 30 % of flows");
  });

  test("names the flag that is wrong", () => {
    const flags = { fault: "loss", cluster: "west", percent: "many" };
    expect(() => definitionFromFlags(flags)).toThrow(
      'Cannot use --percent: fault.percent is "many": want a whole number from 1 to 100',
    );
    expect(() => definitionFromFlags({ fault: "loss" })).toThrow(
      "Cannot use the flags: fault.cluster is missing",
    );
  });
});

describe("definitionDigest()", () => {
  test("forgets how often, when, and by which seed", () => {
    const one = parseDefinition("d.yaml", WEST_DIES);
    const again = { ...one, runs: 20, seed: 3, schedule: undefined };
    expect(definitionDigest(again)).toBe(definitionDigest(one));
    expect(definitionDigest({ ...one, durationMs: 1 })).not.toBe(definitionDigest(one));
  });
});

import { describe, expect, test } from "@jest/globals";
import {
  parseNamespaceAnnotations,
  parseServiceAnnotations,
} from "../../../../apiserver/source/service-annotations.ts";
import { DEFAULT_SERVICE_SETTINGS, type ServiceSettings } from "../../../../mesh/core/service.ts";

const GLOBAL = { "service.cilium.io/global": "true" };

function parse(annotations: Record<string, string>) {
  return parseServiceAnnotations(new Map(Object.entries(annotations)));
}

describe("parseServiceAnnotations()", () => {
  const good: [string, Record<string, string>, Partial<ServiceSettings>][] = [
    ["nothing", {}, {}],
    ["global", GLOBAL, { global: true }],
    ["the old alias of global", { "io.cilium/global-service": "True" }, { global: true }],
    [
      "the current name before its alias",
      { ...GLOBAL, "io.cilium/global-service": "false" },
      { global: true },
    ],
    [
      "shared and affinity by their aliases",
      { ...GLOBAL, "io.cilium/shared-service": "false", "io.cilium/service-affinity": "Local" },
      { global: true, shared: false, affinity: "local" },
    ],
    [
      "tiers with equal ranks",
      { ...GLOBAL, "tombolo.io/failover-order": "west+north, south" },
      { global: true, failoverOrder: [["west", "north"], ["south"]] },
    ],
    [
      "weights",
      { ...GLOBAL, "tombolo.io/weights": "east=90, west=10" },
      {
        global: true,
        weights: new Map([
          ["east", 90],
          ["west", 10],
        ]),
      },
    ],
    [
      "a number of healthy backends",
      { ...GLOBAL, "tombolo.io/min-healthy": "2" },
      { global: true, minHealthy: { kind: "count", count: 2 } },
    ],
    [
      "a share of healthy backends",
      { ...GLOBAL, "tombolo.io/min-healthy": "30%" },
      { global: true, minHealthy: { kind: "percent", percent: 30 } },
    ],
  ];
  for (const [what, annotations, wanted] of good) {
    test(`reads ${what}`, () => {
      expect(parse(annotations)).toEqual({
        settings: { ...DEFAULT_SERVICE_SETTINGS, ...wanted },
        warnings: [],
      });
    });
  }

  const bad: [string, string, string][] = [
    ["service.cilium.io/global", "yes", '"true" or "false"'],
    ["service.cilium.io/shared", "", '"true" or "false"'],
    ["service.cilium.io/affinity", "near", '"none", "local" or "remote"'],
    ["tombolo.io/failover-order", "west,,south", "cluster name"],
    ["tombolo.io/failover-order", "west+west", "twice"],
    ["tombolo.io/weights", "east", "CLUSTER=WEIGHT"],
    ["tombolo.io/weights", "east=-1", "0 to 65535"],
    ["tombolo.io/weights", "east=65536", "0 to 65535"],
    ["tombolo.io/weights", "east=0,west=0", "above 0"],
    ["tombolo.io/weights", "east=1,east=2", "twice"],
    ["tombolo.io/min-healthy", "0", "from 1"],
    ["tombolo.io/min-healthy", "101%", "100%"],
    ["tombolo.io/min-healthy", "half", "from 1"],
  ];
  for (const [annotation, value, want] of bad) {
    test(`uses the default for ${annotation}=${value} and says what is right`, () => {
      const { settings, warnings } = parse({ ...GLOBAL, [annotation]: value });
      const global = annotation !== "service.cilium.io/global";
      expect(settings).toEqual({ ...DEFAULT_SERVICE_SETTINGS, global });
      const [warning] = warnings;
      expect(warning).toMatchObject({ annotation, message: expect.stringContaining(want) });
      expect(warning?.message).toContain(JSON.stringify(value));
    });
  }

  test("warns about annotations without effect on a service that is not global", () => {
    expect(parse({ "service.cilium.io/affinity": "local" }).warnings).toMatchObject([
      { annotation: "service.cilium.io/affinity", message: expect.stringContaining("not global") },
    ]);
  });
});

describe("parseNamespaceAnnotations()", () => {
  const parse = (value?: string) =>
    parseNamespaceAnnotations(
      new Map(value === undefined ? [] : [["clustermesh.cilium.io/global", value]]),
    );

  test("is global by default and keeps to itself when told so", () => {
    expect(parse()).toEqual({ global: true, warnings: [] });
    expect(parse("true").global).toBe(true);
    expect(parse("false")).toEqual({ global: false, warnings: [] });
  });

  test("gives the default and a warning for what it cannot use", () => {
    const { global, warnings } = parse("nope");
    expect(global).toBe(true);
    expect(warnings[0]?.message).toContain('Cannot use "nope" as clustermesh.cilium.io/global');
  });
});

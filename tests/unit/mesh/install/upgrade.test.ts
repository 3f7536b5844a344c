import { describe, expect, test } from "@jest/globals";
import { parseSettings, type SettingTexts } from "../../../../mesh/install/settings.ts";
import { planUpgrade, type UpgradePlan } from "../../../../mesh/install/upgrade.ts";

const texts = { "cluster-name": "east", "cluster-id": "1", mtu: "9000" };
const settings = parseSettings(texts, "0.1.0");
const installed = { cluster: settings.cluster, settings, version: "0.1.0" };
const plan = (
  from: Parameters<typeof planUpgrade>[0],
  more: { version?: string; texts?: SettingTexts; force?: boolean } = {},
): UpgradePlan =>
  planUpgrade(from, { namespace: "mesh", version: "0.2.0", texts: {}, force: false, ...more });

describe("planUpgrade()", () => {
  test("keeps settings, takes those that are given, and the image of the version", () => {
    expect(plan(installed, { texts: { "max-unavailable": "2" } })).toEqual({
      settings: { ...settings, image: "tombolo:0.2.0", maxUnavailable: "2" },
      from: "0.1.0",
      remarks: [],
    });
  });

  test("keeps who may drill here, also where nobody was ever asked", () => {
    const accepts = ({ settings: planned }: UpgradePlan): string => planned.acceptDrillsFrom;
    expect(accepts(plan(installed))).toBe("own");
    const open = parseSettings({ ...texts, "accept-drills-from": "peers" }, "0.1.0");
    expect(accepts(plan({ ...installed, settings: open }))).toBe("peers");
    const closed = { texts: { "accept-drills-from": "own" } };
    expect(accepts(plan({ ...installed, settings: open }, closed))).toBe("own");
  });

  test("keeps an image of somebody's choice, and says so", () => {
    const own = { ...installed, settings: { ...settings, image: "a/tombolo:mine" } };
    expect(plan(own)).toMatchObject({
      settings: { image: "a/tombolo:mine" },
      remarks: ['image "a/tombolo:mine" stays: --image NAME exchanges it'],
    });
    expect(plan(own, { texts: { image: "a/tombolo:new" } }).remarks).toEqual([]);
  });

  for (const [what, from, more, message] of [
    ["nothing", undefined, {}, "it is not installed there"],
    ["others' work", { ...installed, settings: undefined }, {}, "has not installed it"],
    ["going back", { ...installed, version: "0.3.0" }, {}, "the newer version 0.3.0 is installed"],
    [
      "another id",
      installed,
      { texts: { "cluster-id": "2" } },
      'Cannot change --cluster-id from "1" to "2"',
    ],
  ] as const) {
    test(`refuses ${what}`, () => expect(() => plan(from, more)).toThrow(message));
  }

  test("goes back when it is forced to", () => {
    expect(plan({ ...installed, version: "0.3.0" }, { force: true }).from).toBe("0.3.0");
  });
});

import { describe, expect, test } from "@jest/globals";
import { findResultFaults } from "../../../../agent/cni/check.ts";

const attachment = { addresses: ["10.1.1.2"] };

describe("findResultFaults()", () => {
  for (const [what, prevResult, faults] of [
    ["the address", { ips: [{ address: "10.1.1.2/32" }] }, []],
    [
      "another address",
      { ips: [{ address: "10.1.1.3/32" }] },
      ["prevResult does not have 10.1.1.2"],
    ],
    ["nothing", {}, ["prevResult does not have 10.1.1.2"]],
    ["nonsense", { ips: [7, null] }, ["prevResult does not have 10.1.1.2"]],
  ] as const) {
    test(`finds ${faults.length} faults in a result with ${what}`, () => {
      expect(findResultFaults(prevResult, attachment)).toEqual(faults);
    });
  }
});

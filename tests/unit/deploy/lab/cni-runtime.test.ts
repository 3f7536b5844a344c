import { describe, expect, test } from "@jest/globals";
import { addressesOfResult } from "../../../../deploy/lab/cni-runtime.ts";

describe("addressesOfResult()", () => {
  test("takes the prefix lengths off", () => {
    const ips = [{ address: "10.1.1.2/32" }, { address: "fd00::2/128" }];
    expect(addressesOfResult({ ips })).toEqual(["10.1.1.2", "fd00::2"]);
  });
});

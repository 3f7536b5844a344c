import { expect, test } from "@jest/globals";
import { globalAddresses } from "../../../../agent/cni/chain.ts";

test("globalAddresses() takes what the pod is known by, IPv4 first", () => {
  expect(
    globalAddresses([
      { family: "inet6", local: "fe80::1", scope: "link" },
      { family: "inet6", local: "fd00:0::5", scope: "global" },
      { family: "inet", local: "10.1.1.2", scope: "global" },
    ]),
  ).toEqual(["10.1.1.2", "fd00::5"]);
  expect(globalAddresses(undefined)).toEqual([]);
});

import { describe, expect, test } from "@jest/globals";
import {
  adminCommonName,
  localCommonName,
  meshServerName,
  remoteCommonName,
} from "../../../pki/common-names.ts";

for (const [name, make, wanted] of [
  ["adminCommonName()", adminCommonName, "admin-east"],
  ["localCommonName()", localCommonName, "local-east"],
  ["remoteCommonName()", remoteCommonName, "remote-east"],
  ["meshServerName()", meshServerName, "east.mesh.cilium.io"],
] as const) {
  describe(name, () => {
    test("is Cilium's for a cluster's name", () => expect(make("east")).toBe(wanted));
    test("refuses what is no cluster's name", () => expect(() => make("East!")).toThrow(/East!/));
  });
}

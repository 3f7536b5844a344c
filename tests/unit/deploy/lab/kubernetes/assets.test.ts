import { describe, expect, test } from "@jest/globals";
import { checkAssets } from "../../../../../deploy/lab/kubernetes/assets.ts";

describe("checkAssets()", () => {
  for (const [assets, message] of [
    [undefined, "KUBEBUILDER_ASSETS names no folder"],
    ["", "KUBEBUILDER_ASSETS names no folder"],
    ["/nowhere", '"/nowhere" has no program "kube-apiserver"'],
  ] as const) {
    test(`refuses ${JSON.stringify(assets)}, and says how to get the programs`, async () => {
      await expect(checkAssets(assets)).rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringContaining(message),
        hint: expect.stringContaining("kubernetes/server/bin"),
      });
    });
  }
});

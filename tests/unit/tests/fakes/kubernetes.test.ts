import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { startTestKubernetes } from "../../../fakes/kubernetes.ts";

const ASSETS = "KUBEBUILDER_ASSETS";

describe("startTestKubernetes()", () => {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env[ASSETS];
  });
  afterEach(() => {
    if (before === undefined) delete process.env[ASSETS];
    else process.env[ASSETS] = before;
  });

  test("says at once that it knows no binaries", async () => {
    delete process.env[ASSETS];
    await expect(startTestKubernetes()).rejects.toThrow("KUBEBUILDER_ASSETS is not set");
  });

  test("says at once that there are none", async () => {
    process.env[ASSETS] = "/nowhere";
    await expect(startTestKubernetes()).rejects.toThrow("no /nowhere/kube-apiserver");
  });
});

import { describe, expect, test } from "@jest/globals";
import { discoverSlicePath } from "../../../../mesh/kubernetes/discovery.ts";
import { createFakeTransport } from "../../../fakes/kubernetes-transport.ts";

const signal = new AbortController().signal;
const group = (...versions: string[]): object => ({
  versions: versions.map((version) => ({ version })),
});

describe("discoverSlicePath()", () => {
  const cases: readonly [served: string[], version: string][] = [
    [["v1", "v1beta1"], "v1"],
    [["v1beta1", "v1"], "v1"],
    [["v1beta1"], "v1beta1"],
    [["v2", "v1"], "v1"],
  ];
  for (const [served, version] of cases) {
    test(`takes ${version} of ${served.join(", ")}`, async () => {
      const transport = createFakeTransport();
      transport.answer(200, group(...served));
      const path = await discoverSlicePath(transport, signal);
      expect(path).toBe(`/apis/discovery.k8s.io/${version}/endpointslices`);
    });
  }

  test("says what is served when neither is", async () => {
    const transport = createFakeTransport();
    transport.answer(200, group("v2"));
    await expect(discoverSlicePath(transport, signal)).rejects.toThrow("discovery.k8s.io in v2");
    transport.answer(404, {});
    await expect(discoverSlicePath(transport, signal)).rejects.toThrow("in no version");
  });
});

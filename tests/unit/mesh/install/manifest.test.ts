import { expect, test } from "@jest/globals";
import { describeManifest, manifestPath } from "../../../../mesh/install/manifest.ts";

test("manifestPath() knows where every kind stands", () => {
  const at = (apiVersion: string, kind: string, namespace?: string): string =>
    manifestPath({
      apiVersion,
      kind,
      metadata: { name: "x", ...(namespace === undefined ? {} : { namespace }) },
    });
  expect(at("v1", "Namespace")).toBe("/api/v1/namespaces/x");
  expect(at("apps/v1", "DaemonSet", "ns")).toBe("/apis/apps/v1/namespaces/ns/daemonsets/x");
  expect(at("rbac.authorization.k8s.io/v1", "ClusterRole")).toBe(
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
  );
  expect(() => at("v1", "Secret", "ns")).toThrow("Cannot place an object of kind v1 Secret");
});

test("describeManifest() names an object", () => {
  const metadata = { name: "x", namespace: "ns" };
  expect(describeManifest({ apiVersion: "v1", kind: "Service", metadata })).toBe("Service ns/x");
});

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeIdentity, parseIdentity } from "../../../../../mesh/kvstore/records/identity.ts";
import {
  identityLabelsForPod,
  labelKey,
  sortLabels,
} from "../../../../../mesh/kvstore/records/identity-labels.ts";

const pod = (labels: Record<string, string>): string[] =>
  identityLabelsForPod({
    cluster: "east",
    namespace: "shop",
    namespaceLabels: new Map([["kubernetes.io/metadata.name", "shop"]]),
    serviceAccount: "cart",
    labels: new Map(Object.entries(labels)),
  });

describe("identityLabelsForPod()", () => {
  test("is the pod's labels, its namespace's, its cluster, account and namespace", () => {
    expect(pod({ app: "cart", "app.kubernetes.io/name": "cart" })).toEqual([
      "k8s:app=cart",
      "k8s:app.kubernetes.io/name=cart",
      "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop",
      "k8s:io.cilium.k8s.policy.cluster=east",
      "k8s:io.cilium.k8s.policy.serviceaccount=cart",
      "k8s:io.kubernetes.pod.namespace=shop",
    ]);
  });

  for (const key of [
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/controller-uid",
    "kubernetes.io/hostname",
    "failure-domain.beta.kubernetes.io/zone",
    "k8s.io/anything",
  ]) {
    test(`leaves out ${key}, which differs between pods of one workload`, () => {
      expect(pod({ [key]: "x" })).toEqual(pod({}));
    });
  }

  for (const key of [
    "io.cilium.k8s.policy.cluster",
    "io.cilium.k8s.policy.serviceaccount",
    "io.cilium.k8s.namespace.labels.team",
    "io.kubernetes.pod.namespace",
  ]) {
    test(`lets no pod write ${key} by itself`, () => {
      expect(pod({ [key]: "forged" })).toEqual(pod({}));
    });
  }

  for (const [key, value] of [
    ["app", "cart;k8s:io.cilium.k8s.policy.cluster=west"],
    ["app=cart;k8s:x", ""],
    ["app=", "cart"],
    ["app", "\u001b[2J"],
    ["", "x"],
  ] as const) {
    test(`leaves out ${JSON.stringify(`${key}=${value}`)}, which is more than one label`, () => {
      expect(pod({ [key]: value })).toEqual(pod({}));
    });
  }

  test("makes an identity that its readers accept, whatever the labels say", () => {
    const texts = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
    fc.assert(
      fc.property(texts, (labels) => {
        const bytes = encodeIdentity(pod(labels));
        const east = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
        expect(parseIdentity("70001", bytes, east).labels).toEqual(pod(labels));
      }),
    );
  });
});

describe("sortLabels()", () => {
  test("sorts by key, which is not the order of the whole texts", () => {
    expect(sortLabels(["k8s:app.x=1", "k8s:b=1", "k8s:app=2", "any:a=3"])).toEqual([
      "any:a=3",
      "k8s:app=2",
      "k8s:app.x=1",
      "k8s:b=1",
    ]);
  });
});

describe("labelKey()", () => {
  test("is what stands between source and value", () => {
    expect(labelKey("k8s:app.kubernetes.io/name=a:b=c")).toBe("app.kubernetes.io/name");
  });
});

import { expect, test } from "@jest/globals";
import {
  ciliumLabelKey,
  namespaceLabelKey,
  podLabelKey,
} from "../../../../../apiserver/source/policy/read-selector.ts";

const NAMESPACE = { kind: "label", key: "k8s:io.kubernetes.pod.namespace" };

test("podLabelKey() tells labels that identities carry from others", () => {
  expect(podLabelKey("app.kubernetes.io/name")).toEqual({
    kind: "label",
    key: "k8s:app.kubernetes.io/name",
  });
  for (const key of [
    "pod-template-hash",
    "kubernetes.io/hostname",
    "a=b",
    "io.cilium.k8s.policy.x",
  ]) {
    expect(podLabelKey(key)).toMatchObject({ kind: "none" });
  }
});

test("namespaceLabelKey() finds namespaces by their name, with or without the label", () => {
  expect(namespaceLabelKey("kubernetes.io/metadata.name")).toEqual(NAMESPACE);
  expect(namespaceLabelKey("team")).toEqual({
    kind: "label",
    key: "k8s:io.cilium.k8s.namespace.labels.team",
  });
});

test.each([
  ["app", { kind: "label", key: "any:app" }],
  ["any:app", { kind: "label", key: "any:app" }],
  ["k8s:app", { kind: "label", key: "k8s:app" }],
  ["reserved:host", { kind: "reserved", name: "host" }],
  ["k8s:io.kubernetes.pod.namespace", NAMESPACE],
  ["io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name", NAMESPACE],
  [
    "k8s:io.cilium.k8s.policy.serviceaccount",
    { kind: "label", key: "k8s:io.cilium.k8s.policy.serviceaccount" },
  ],
])("ciliumLabelKey() takes %s apart", (text, meaning) => {
  expect(ciliumLabelKey(text)).toEqual(meaning);
});

test("ciliumLabelKey() knows no labels of other sources, and none that are left out", () => {
  expect(ciliumLabelKey("container:a")).toMatchObject({ kind: "none" });
  expect(ciliumLabelKey("k8s:pod-template-hash")).toMatchObject({ kind: "none" });
});

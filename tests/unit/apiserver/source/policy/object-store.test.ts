// The policies that people write for an object store, as documents: what becomes of their words.
import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { selectorText } from "../../../../../mesh/core/selector.ts";
import type { TrafficObject } from "../../../../../apiserver/source/policy/policy-object.ts";
import { ROOT } from "../../../../sources.ts";
import { converted } from "./converted.ts";

const SUBJECT = "any:app=minio, k8s:io.kubernetes.pod.namespace=store";
const CLOSES_INGRESS = { ingress: true, egress: false };

function ruleOf(file: string) {
  const text = readFileSync(join(ROOT, "tests/policy/object-store", file), "utf8");
  const { policy, rule, problems } = converted(text);
  expect(problems).toEqual([]);
  expect(policy.refusals).toEqual([]);
  expect(policy.rules).toHaveLength(1);
  expect(selectorText(rule.subject)).toBe(SUBJECT);
  return rule;
}

function shown(traffic: readonly TrafficObject[]) {
  return traffic.map(({ verdict, peers, ports }) => ({
    verdict,
    peers: peers?.map((peer) => (peer.kind === "pods" ? selectorText(peer.selector) : peer.kind)),
    ports: ports?.map((port) => ("first" in port ? `${port.protocol}/${port.first}` : port)),
  }));
}

describe("the policies of an object store", () => {
  test("let the front end in", () => {
    const rule = ruleOf("frontend-ingress.yaml");
    expect(rule.defaultDeny).toEqual(CLOSES_INGRESS);
    expect(shown(rule.ingress)).toEqual([
      {
        verdict: "allow",
        peers: ["any:app=frontend, k8s:io.kubernetes.pod.namespace=store"],
        ports: ["TCP/9000"],
      },
    ]);
  });

  test("let several clients in", () => {
    const rule = ruleOf("several-ingress.yaml");
    expect(rule.defaultDeny).toEqual(CLOSES_INGRESS);
    expect(shown(rule.ingress)).toEqual([
      {
        verdict: "allow",
        peers: [
          "any:app=frontend, k8s:io.kubernetes.pod.namespace=store",
          "any:app=backup, k8s:io.kubernetes.pod.namespace=store",
        ],
        ports: ["TCP/9000", "TCP/9001"],
      },
    ]);
  });

  test("let the store's own pods speak with each other", () => {
    const rule = ruleOf("peers.yaml");
    const own = [{ verdict: "allow", peers: [SUBJECT], ports: undefined }];
    expect(rule.defaultDeny).toEqual({ ingress: true, egress: true });
    expect(shown(rule.ingress)).toEqual(own);
    expect(shown(rule.egress)).toEqual(own);
  });

  test("let the store ask DNS", () => {
    const rule = ruleOf("dns-egress.yaml");
    expect(rule.defaultDeny).toEqual({ ingress: false, egress: true });
    expect(shown(rule.egress)).toEqual([
      {
        verdict: "allow",
        peers: ["any:k8s-app=kube-dns, k8s:io.kubernetes.pod.namespace=kube-system"],
        ports: ["UDP/53"],
      },
    ]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { selectorText } from "../../../../../mesh/core/selector.ts";
import type { PeerObject } from "../../../../../apiserver/source/policy/policy-object.ts";
import { ciliumPolicyText, ciliumRule, clusterwidePolicy, problemsOf } from "./converted.ts";

const IN_SHOP = "k8s:io.kubernetes.pod.namespace=shop";

function shown(peers: readonly PeerObject[] | undefined): string[] | undefined {
  return peers?.map((peer) => {
    switch (peer.kind) {
      case "pods":
        return `pods ${selectorText(peer.selector)}`;
      case "cidr":
        return [peer.cidr, ...peer.except].join(" -");
      case "entity":
        return peer.entity;
      case "services":
        return `services ${peer.namespace}/${peer.name} ${selectorText(peer.selector)}`;
    }
  });
}

const honoured: [string, string, string, string[] | undefined][] = [
  [
    "pods of its own namespace",
    "ingress",
    "fromEndpoints: [{matchLabels: {app: a}}]",
    [`pods any:app=a, ${IN_SHOP}`],
  ],
  ["every pod of its namespace", "ingress", "fromEndpoints: [{}]", [`pods ${IN_SHOP}`]],
  [
    "pods of the namespace that it names",
    "egress",
    "toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: kube-system, k8s:k8s-app: kube-dns}}]",
    ["pods k8s:io.kubernetes.pod.namespace=kube-system, k8s:k8s-app=kube-dns"],
  ],
  [
    "pods of any namespace",
    "ingress",
    "fromEndpoints: [{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]}]",
    ["pods any:io.kubernetes.pod.namespace"],
  ],
  [
    "pods of namespaces by their labels",
    "ingress",
    'fromEndpoints: [{matchLabels: {"k8s:io.cilium.k8s.namespace.labels.team": a}}]',
    ["pods k8s:io.cilium.k8s.namespace.labels.team=a"],
  ],
  [
    "pods of another cluster, in its namespace",
    "ingress",
    "fromEndpoints: [{matchLabels: {io.cilium.k8s.policy.cluster: west}}]",
    [`pods any:io.cilium.k8s.policy.cluster=west, ${IN_SHOP}`],
  ],
  [
    "nobody in an empty list",
    "ingress",
    "{fromEndpoints: [], toPorts: [{ports: [{port: '80'}]}]}",
    [],
  ],
  ["nobody without peers and ports", "ingress", "{}", []],
  ["anybody without peers", "ingress", "toPorts: [{ports: [{port: '80'}]}]", undefined],
  [
    "entities",
    "ingress",
    "fromEntities: [cluster, world-ipv6, host]",
    ["cluster", "world-ipv6", "host"],
  ],
  [
    "entities by their labels",
    "egress",
    'toEndpoints: [{matchLabels: {"reserved:host": ""}}]',
    ["host"],
  ],
  [
    "ranges and addresses",
    "egress",
    "toCIDR: [10.1.2.3/8, 192.0.2.7, fd00::1]",
    ["10.0.0.0/8", "192.0.2.7/32", "fd00::1/128"],
  ],
  [
    "ranges with exceptions",
    "ingress",
    "fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]",
    ["10.0.0.0/8 -10.1.0.0/16"],
  ],
  [
    "a service by its name",
    "egress",
    "toServices: [{k8sService: {serviceName: db, namespace: data}}]",
    ["services data/db "],
  ],
  [
    "services by their labels",
    "egress",
    "toServices: [{k8sServiceSelector: {selector: {matchLabels: {pod-template-hash: x, k8s:a: b}}}}]",
    ["services / k8s:a=b, k8s:pod-template-hash=x"],
  ],
  [
    "pods that are no host, which they never are",
    "ingress",
    'fromEndpoints: [{matchExpressions: [{key: "reserved:host", operator: DoesNotExist}]}]',
    [`pods ${IN_SHOP}`],
  ],
];

describe("peersFromRule()", () => {
  test.each(honoured)("means %s", (_, section, rule, peers) => {
    const traffic = ciliumRule(section, rule);
    expect(traffic.refusals).toEqual([]);
    expect(shown(traffic.peers)).toEqual(peers);
  });

  test("means pods of every namespace in a policy of the whole cluster", () => {
    const { rule } = clusterwidePolicy(
      "endpointSelector: {}\ningress: [{fromEndpoints: [{}, {matchLabels: {app: a}}]}]",
    );
    expect(shown(rule.ingress[0]?.peers)).toEqual(["pods ", "pods any:app=a"]);
  });

  const refused: [string, string, string, string][] = [
    ["nodes", "fromNodes: [{matchLabels: {a: b}}]", "fromNodes", "nodes cannot be selected"],
    ["groups of a cloud", "fromGroups: [{aws: {}}]", "fromGroups", "groups of cloud providers"],
    [
      "two ways to say who",
      "{fromEntities: [world], fromCIDR: [10.0.0.0/8]}",
      "fromCIDR",
      "cannot stand beside fromEntities",
    ],
    [
      "the API server",
      "fromEntities: [kube-apiserver]",
      "fromEntities[0]",
      "the API server's addresses",
    ],
    ["an entity that nobody knows", "fromEntities: [moon]", "fromEntities[0]", '"moon" is unknown'],
    [
      "groups of CIDRs",
      "fromCIDRSet: [{cidrGroupRef: vpn}]",
      "fromCIDRSet[0].cidrGroupRef",
      "groups of CIDRs",
    ],
    [
      "an identity that nobody knows",
      'fromEndpoints: [{matchLabels: {"reserved:kube-apiserver": ""}}]',
      "fromEndpoints[0]",
      '"reserved:kube-apiserver" is unknown',
    ],
    [
      "an identity with other labels",
      'fromEndpoints: [{matchLabels: {"reserved:host": "", app: a}}]',
      "fromEndpoints[0]",
      "has no other labels",
    ],
  ];
  test.each(refused)("refuses %s: nobody is allowed, everybody is denied", (_, rule, path, why) => {
    const allowed = ciliumRule("ingress", rule);
    expect(shown(allowed.peers)).toEqual([]);
    expect(allowed.refusals).toEqual([expect.stringContaining(`spec.ingress[0].${path}: `)]);
    expect(allowed.refusals[0]).toMatch(/; nobody is allowed by it$/);
    expect(allowed.refusals[0]).toContain(why);
    const denied = ciliumRule("ingressDeny", rule);
    expect(shown(denied.peers)).toEqual(["all"]);
    expect(denied.refusals).toEqual([expect.stringMatching(/; everybody is denied$/)]);
  });

  const widened: [string, string][] = [
    ["a label that identities do not carry", "{app: a, pod-template-hash: x}"],
    ["a label of another source", '{app: a, "container:x": y}'],
  ];
  test.each(widened)("allows nothing by %s, and denies without it", (_, matchLabels) => {
    const rule = `fromEndpoints: [{matchLabels: ${matchLabels}}, {}]`;
    expect(shown(ciliumRule("ingress", rule).peers)).toEqual([`pods ${IN_SHOP}`]);
    const denied = ciliumRule("ingressDeny", rule);
    expect(shown(denied.peers)).toEqual([`pods any:app=a, ${IN_SHOP}`, `pods ${IN_SHOP}`]);
    expect(denied.refusals).toHaveLength(1);
  });

  test("refuses names of DNS, and services that are chosen in another way", () => {
    for (const rule of ["toFQDNs: [{matchName: a.b}]", "toServices: [{byMagic: x}]"]) {
      const { peers, refusals } = ciliumRule("egress", rule);
      expect(peers).toEqual([]);
      expect(refusals).toHaveLength(1);
    }
  });

  test.each([
    ["a prefix that is none", "fromCIDR: [10.0.0.0/33]", "spec.ingress[0].fromCIDR[0]: want"],
    [
      "an exception outside",
      "fromCIDRSet: [{cidr: 10.0.0.0/8, except: [1.0.0.0/8]}]",
      "want a part of",
    ],
    ["a service without a name", "fromEndpoints: {}", "spec.ingress[0].fromEndpoints: want a list"],
  ])("cannot use %s", (_, rule, message) => {
    const text = ciliumPolicyText(`endpointSelector: {}\ningress:\n- ${rule}`);
    expect(problemsOf(text)).toEqual([expect.stringContaining(message)]);
  });
});

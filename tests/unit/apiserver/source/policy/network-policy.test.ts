import { describe, expect, test } from "@jest/globals";
import { selectorText } from "../../../../../mesh/core/selector.ts";
import type { PeerObject } from "../../../../../apiserver/source/policy/policy-object.ts";
import { networkPolicy, networkPolicyText, problemsOf } from "./converted.ts";

const IN_SHOP = "k8s:io.kubernetes.pod.namespace=shop";

function shown(peers: readonly PeerObject[] | undefined): string[] | undefined {
  return peers?.map((peer) =>
    peer.kind === "pods"
      ? `pods ${selectorText(peer.selector)}`
      : peer.kind === "cidr"
        ? `${peer.cidr} except ${peer.except.join(",")}`
        : peer.kind,
  );
}

describe("networkPolicyFromFields()", () => {
  test("is about the pods of its own namespace", () => {
    const { policy, rule, problems } = networkPolicy(`
podSelector:
  matchLabels: {app: cart}
  matchExpressions:
  - {key: tier, operator: NotIn, values: [b, a]}
  - {key: env, operator: Exists}
  - {key: old, operator: DoesNotExist}`);
    expect(problems).toEqual([]);
    expect(policy).toMatchObject({ kind: "NetworkPolicy", namespace: "shop", name: "web" });
    expect(selectorText(rule.subject)).toBe(
      `!k8s:old, k8s:app=cart, k8s:env, ${IN_SHOP}, k8s:tier notin (a,b)`,
    );
    expect(selectorText(networkPolicy("podSelector: {}").rule.subject)).toBe(IN_SHOP);
  });

  const types: [string, string, boolean, boolean][] = [
    ["Ingress alone by default", "podSelector: {}", true, false],
    ["Ingress alone with no rules for egress", "podSelector: {}\negress: []", true, false],
    ["both with rules for egress", "podSelector: {}\negress: [{}]", true, true],
    ["those it names", "podSelector: {}\npolicyTypes: [Egress]", false, true],
    ["both that it names", "podSelector: {}\npolicyTypes: [Egress, Ingress]", true, true],
  ];
  test.each(types)("closes %s", (_, spec, ingress, egress) => {
    expect(networkPolicy(spec).rule.defaultDeny).toEqual({ ingress, egress });
  });

  test("uses no rules of a direction that it does not name, and says so", () => {
    const { rule, problems } = networkPolicy(
      "podSelector: {}\npolicyTypes: [Ingress]\negress: [{}]",
    );
    expect(rule.egress).toEqual([]);
    expect(problems).toEqual([
      "7: Cannot use spec.egress: spec.policyTypes does not name this direction",
    ]);
  });

  test("allows nothing with no rules, and everything with an empty one", () => {
    expect(networkPolicy("podSelector: {}\ningress: []").rule.ingress).toEqual([]);
    for (const empty of ["{}", "{from: [], ports: []}"]) {
      expect(networkPolicy(`podSelector: {}\ningress: [${empty}]`).rule.ingress).toEqual([
        { path: "spec.ingress[0]", verdict: "allow", peers: undefined, ports: undefined },
      ]);
    }
  });

  const peers: [string, string, string[]][] = [
    [
      "pods of its namespace",
      "podSelector: {matchLabels: {app: db}}",
      [`pods k8s:app=db, ${IN_SHOP}`],
    ],
    ["every pod of its namespace", "podSelector: {}", [`pods ${IN_SHOP}`]],
    ["every pod of every namespace", "namespaceSelector: {}", ["pods "]],
    [
      "pods of namespaces by label",
      "{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: db}}}",
      ["pods k8s:app=db, k8s:io.cilium.k8s.namespace.labels.team=a"],
    ],
    [
      "a namespace by its name, whether or not its object carries the label",
      "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}",
      ["pods k8s:io.kubernetes.pod.namespace=ops"],
    ],
    [
      "pods of another cluster",
      "podSelector: {matchLabels: {io.cilium.k8s.policy.cluster: west}}",
      [`pods k8s:io.cilium.k8s.policy.cluster=west, ${IN_SHOP}`],
    ],
    [
      "addresses, made canonical",
      "ipBlock: {cidr: 10.1.2.3/8, except: [10.9.0.1/16]}",
      ["10.0.0.0/8 except 10.9.0.0/16"],
    ],
    ["addresses of IPv6", "ipBlock: {cidr: FD00::1/8}", ["fd00::/8 except "]],
  ];
  test.each(peers)("means %s", (_, peer, expected) => {
    const { rule, problems } = networkPolicy(`podSelector: {}\ningress:\n- from:\n  - ${peer}`);
    expect(problems).toEqual([]);
    expect(shown(rule.ingress[0]?.peers)).toEqual(expected);
  });

  test("reads egress in the same way", () => {
    const { rule } = networkPolicy(`
podSelector: {}
egress:
- to: [{podSelector: {}}]
  ports: [{port: 53, protocol: UDP}]`);
    expect(rule.egress).toEqual([
      {
        path: "spec.egress[0]",
        verdict: "allow",
        peers: [{ kind: "pods", selector: rule.subject }],
        ports: [{ protocol: "UDP", first: 53, last: 53 }],
      },
    ]);
  });

  test("reads ports: numbers, ranges, names, whole protocols", () => {
    const { rule } = networkPolicy(`
podSelector: {}
ingress:
- ports:
  - {port: 80}
  - {port: 8000, endPort: 8080, protocol: TCP}
  - {port: http, protocol: SCTP}
  - {protocol: UDP}`);
    expect(rule.ingress[0]?.ports).toEqual([
      { protocol: "TCP", first: 80, last: 80 },
      { protocol: "TCP", first: 8000, last: 8080 },
      { protocol: "SCTP", name: "http" },
      { protocol: "UDP", first: 0, last: 65535 },
    ]);
  });

  const wrong: [string, string, string][] = [
    [
      "a type that is none",
      "policyTypes: [Both]",
      '5: Cannot use spec.policyTypes[0]: want "Ingress" or "Egress"',
    ],
    [
      "a prefix that is none",
      "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]",
      "want ADDRESS/LENGTH",
    ],
    [
      "a block without a prefix",
      "ingress: [{from: [{ipBlock: {}}]}]",
      "spec.ingress[0].from[0].ipBlock.cidr: it is missing",
    ],
    [
      "an exception outside",
      "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]}]",
      "want a part of 10.0.0.0/8, got 11.0.0.0/8",
    ],
    [
      "a block beside a selector",
      "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]",
      "want it alone",
    ],
    [
      "an empty peer",
      "ingress: [{from: [{}]}]",
      "Cannot use spec.ingress[0].from[0]: want podSelector, namespaceSelector, ipBlock",
    ],
    [
      "a protocol that is none",
      "ingress: [{ports: [{protocol: ICMP}]}]",
      'want "TCP", "UDP" or "SCTP"',
    ],
    [
      "a range that goes back",
      "ingress: [{ports: [{port: 9, endPort: 8}]}]",
      "endPort: want 9 or more",
    ],
    [
      "the end of a named port",
      "ingress: [{ports: [{port: web, endPort: 8}]}]",
      "want a number as port beside it",
    ],
    ["port 0", "ingress: [{ports: [{port: 0}]}]", "want a whole number from 1 to 65535"],
    [
      "a name that is none",
      "ingress: [{ports: [{port: A_B}]}]",
      "want a number or the name of a port",
    ],
    [
      "an operator that is none",
      "podSelector: {matchExpressions: [{key: a, operator: Gt, values: [x]}]}",
      "want In, NotIn",
    ],
    [
      "In without values",
      "podSelector: {matchExpressions: [{key: a, operator: In}]}",
      "want at least one beside In",
    ],
    [
      "Exists with values",
      "podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}",
      "want none beside Exists",
    ],
  ];
  test.each(wrong)("cannot use %s", (_, spec, message) => {
    expect(problemsOf(networkPolicyText(spec))).toEqual([expect.stringContaining(message)]);
  });
});

describe("what a NetworkPolicy cannot have honoured", () => {
  test("allows nothing, for pods with and without a label that identities do not carry", () => {
    const { rule, refusals, problems } = networkPolicy(`
podSelector:
  matchLabels:
    pod-template-hash: abc
ingress: [{}]`);
    expect(selectorText(rule.subject)).toBe(IN_SHOP);
    expect(rule.ingress).toEqual([]);
    expect(rule.defaultDeny.ingress).toBe(true);
    expect(refusals).toEqual([
      'spec.podSelector.matchLabels.pod-template-hash: the label "pod-template-hash" is not part of identities; the policy closes pods with and without it, and allows nothing',
    ]);
    expect(problems[0]).toMatch(/^6: Cannot honour spec\.podSelector\.matchLabels\.pod/);
  });

  test("is a peer by such a label, and it alone", () => {
    const { rule, refusals } = networkPolicy(`
podSelector: {}
ingress:
- from:
  - podSelector: {matchExpressions: [{key: pod-template-hash, operator: DoesNotExist}]}
  - podSelector: {}`);
    expect(shown(rule.ingress[0]?.peers)).toEqual([`pods ${IN_SHOP}`]);
    expect(refusals[0]).toMatch(
      /^spec\.ingress\[0\]\.from\[0\]\.podSelector\.matchExpressions\[0\]: /,
    );
  });

  const unknown: [string, string, object][] = [
    ["in the spec", "nodeSelector: {}\ningress: [{}]", { ingress: [] }],
    ["in a rule", "ingress: [{only: x}]", { ingress: [{ peers: [] }] }],
    ["in a peer", "ingress: [{from: [{nodes: x}]}]", { ingress: [{ peers: [] }] }],
    [
      "in a block",
      "ingress: [{from: [{ipBlock: {cidr: 1.0.0.0/8, asn: 5}}]}]",
      { ingress: [{ peers: [] }] },
    ],
    ["in a port", "ingress: [{ports: [{port: 80, name: x}]}]", { ingress: [{ ports: [] }] }],
    [
      "in a selector",
      "ingress: [{from: [{podSelector: {match: x}}]}]",
      { ingress: [{ peers: [] }] },
    ],
  ];
  test.each(unknown)("is an unknown field %s", (_, spec, expected) => {
    const { rule, refusals } = networkPolicy(`podSelector: {}\n${spec}`);
    expect(rule).toMatchObject(expected);
    expect(refusals).toHaveLength(1);
  });
});

import { describe, expect, test } from "@jest/globals";
import { selectorText } from "../../../../../mesh/core/selector.ts";
import {
  ciliumPolicy,
  ciliumPolicyText,
  ciliumRule,
  clusterwidePolicy,
  converted,
  problemsOf,
} from "./converted.ts";

const IN_SHOP = "k8s:io.kubernetes.pod.namespace=shop";
const ALL = "endpointSelector: {}\n";

describe("ciliumPolicyFromFields()", () => {
  test("has a rule for the spec and for each of the specs", () => {
    const { policy, problems } = converted(`apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec: {endpointSelector: {}, ingress: [{}], description: x, labels: []}
specs:
- {endpointSelector: {matchLabels: {app: a}}, egress: [{}]}
- {endpointSelector: {}, egressDeny: [{toEntities: [world]}]}
`);
    expect(problems).toEqual([]);
    expect(policy.rules.map(({ path }) => path)).toEqual(["spec", "specs[0]", "specs[1]"]);
    expect(policy.rules[2]?.egress).toEqual([
      {
        path: "specs[1].egressDeny[0]",
        verdict: "deny",
        peers: [{ kind: "entity", entity: "world" }],
        ports: undefined,
      },
    ]);
  });

  const closed: [string, string, boolean, boolean][] = [
    ["a direction with an empty rule", "ingress: [{}]", true, false],
    ["a direction with rules that deny only", "egressDeny: [{toEntities: [world]}]", false, true],
    ["no direction with an empty section", "ingress: []\negress: [{}]", false, true],
    [
      "none that is said to stay open",
      "ingress: [{fromEntities: [all]}]\nenableDefaultDeny: {ingress: false}",
      false,
      false,
    ],
    [
      "one that is said to be closed",
      "ingress: [{}]\nenableDefaultDeny: {egress: true}",
      true,
      true,
    ],
  ];
  test.each(closed)("closes %s", (_, spec, ingress, egress) => {
    const { rule, refusals } = ciliumPolicy(ALL + spec);
    expect(refusals).toEqual([]);
    expect(rule.defaultDeny).toEqual({ ingress, egress });
  });

  test("allows nothing by an empty rule", () => {
    expect(ciliumPolicy(`${ALL}ingress: [{}]`).rule.ingress).toEqual([
      { path: "spec.ingress[0]", verdict: "allow", peers: [], ports: undefined },
    ]);
  });

  test("keeps allows and denies of a direction together", () => {
    const { rule } = ciliumPolicy(
      `${ALL}ingress: [{fromEntities: [all]}]\ningressDeny: [{fromEntities: [world]}]`,
    );
    expect(rule.ingress.map(({ path, verdict }) => `${path} ${verdict}`)).toEqual([
      "spec.ingress[0] allow",
      "spec.ingressDeny[0] deny",
    ]);
  });

  const subjects: [string, string, string][] = [
    ["its own namespace", "{}", IN_SHOP],
    ["labels of any source", "{matchLabels: {app: a, k8s:b: c}}", `any:app=a, k8s:b=c, ${IN_SHOP}`],
    [
      "its own namespace, if that is named",
      "{matchLabels: {io.kubernetes.pod.namespace: shop}}",
      IN_SHOP,
    ],
    [
      "no entity",
      '{matchExpressions: [{key: "reserved:ingress", operator: DoesNotExist}]}',
      IN_SHOP,
    ],
  ];
  test.each(subjects)("is about %s", (_, selector, subject) => {
    const { rule, refusals } = ciliumPolicy(`endpointSelector: ${selector}\ningress: [{}]`);
    expect(refusals).toEqual([]);
    expect(selectorText(rule.subject)).toBe(subject);
  });

  test("stays in its own namespace, whatever it names", () => {
    const { rule, refusals } = ciliumPolicy(
      "endpointSelector: {matchLabels: {k8s:io.kubernetes.pod.namespace: ops}}\ningress: [{}]",
    );
    expect(selectorText(rule.subject)).toBe(IN_SHOP);
    expect(refusals).toEqual([
      'spec.endpointSelector: the policy stands in "shop" and applies to its pods, and no others',
    ]);
  });

  test("has no effect without a spec, and cannot be used without a subject", () => {
    const head = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\n";
    expect(converted(head).policy.rules).toEqual([]);
    expect(converted(head).refusals).toEqual(["spec: it is missing; the policy has no effect"]);
    expect(problemsOf(ciliumPolicyText("ingress: [{}]"))).toEqual([
      expect.stringContaining("spec.endpointSelector: it is missing"),
    ]);
    expect(problemsOf(ciliumPolicyText(`${ALL}nodeSelector: {}`))).toEqual([
      expect.stringContaining("want it without endpointSelector"),
    ]);
  });
});

describe("ciliumClusterwidePolicyFromFields()", () => {
  test("is about pods of every namespace", () => {
    const { policy, rule } = clusterwidePolicy(`${ALL}ingress: [{}]`);
    expect(policy).toMatchObject({ kind: "CiliumClusterwideNetworkPolicy", namespace: "" });
    expect(rule.subject).toEqual([]);
  });
});

describe("what a Cilium policy cannot have honoured", () => {
  test("is a policy for nodes, which is about no pod", () => {
    const { policy, refusals } = clusterwidePolicy("nodeSelector: {}\ningress: [{}]");
    expect(policy.rules).toEqual([]);
    expect(refusals).toEqual([
      "spec.nodeSelector: policies for nodes are not enforced; the rule has no effect",
    ]);
  });

  test("is one for reserved endpoints, which are no pods", () => {
    const { policy, refusals } = clusterwidePolicy(
      'endpointSelector: {matchLabels: {"reserved:health": ""}}\ningress: [{}]',
    );
    expect(policy.rules).toEqual([]);
    expect(refusals).toEqual([expect.stringContaining('no pod is "reserved:health"')]);
  });

  test("is a subject by a label that identities do not carry: wider, and opened for nobody", () => {
    const { rule, refusals } = ciliumPolicy(`
endpointSelector: {matchLabels: {app: a, controller-revision-hash: x}}
ingress: [{fromEntities: [all]}]
ingressDeny: [{fromEntities: [world]}]
enableDefaultDeny: {ingress: false}`);
    expect(selectorText(rule.subject)).toBe(`any:app=a, ${IN_SHOP}`);
    expect(rule.ingress.map(({ verdict }) => verdict)).toEqual(["deny"]);
    expect(rule.defaultDeny.ingress).toBe(true);
    expect(refusals).toHaveLength(2);
  });

  test("is an unknown field of the spec: both directions are closed", () => {
    const { rule, refusals } = ciliumPolicy(`${ALL}tier: 1\ningress: [{fromEntities: [all]}]`);
    expect(rule).toMatchObject({ defaultDeny: { ingress: true, egress: true }, ingress: [] });
    expect(refusals).toEqual([
      "spec.tier: it is unknown; the rule allows nothing and closes both directions",
    ]);
  });

  test("closes a direction that was to stay open", () => {
    const { rule, refusals } = ciliumPolicy(`${ALL}
ingress: [{toPorts: [{ports: [{port: '80'}], rules: {http: [{}]}}]}]
enableDefaultDeny: {ingress: false}`);
    expect(rule.defaultDeny).toEqual({ ingress: true, egress: false });
    expect(refusals.at(-1)).toMatch(/^spec\.enableDefaultDeny\.ingress: not all of its rules/);
  });

  test("closes a direction also when there is more of it than a record tells", () => {
    const entities = `[${Array(1_100).fill("moon").join(", ")}]`;
    const { rule, refusals } = ciliumPolicy(`${ALL}
egress: [{toEntities: ${entities}}]
ingress: [{fromEntities: [moon]}]
enableDefaultDeny: {ingress: false}`);
    expect(refusals).toHaveLength(1_000);
    expect(rule.defaultDeny).toEqual({ ingress: true, egress: true });
  });

  test("is an unknown field beside a default", () => {
    const { rule, refusals } = ciliumPolicy(
      `${ALL}ingress: [{fromEntities: [all]}]\nenableDefaultDeny: {ingres: false}`,
    );
    expect(rule).toMatchObject({ defaultDeny: { ingress: true, egress: true }, ingress: [] });
    expect(refusals).toEqual([expect.stringMatching(/^spec\.enableDefaultDeny\.ingres: /)]);
  });

  const whole: [string, string][] = [
    ["an unknown field of a rule", "fromEntities: [all]\nfromMars: [x]"],
    ["peers that must authenticate", "fromEntities: [all]\nauthentication: {mode: required}"],
  ];
  test.each(whole)("is %s: nothing is allowed, everything denied", (_, rule) => {
    expect(ciliumRule("ingress", rule)).toMatchObject({ verdict: "allow", peers: [] });
    const denied = ciliumRule("ingressDeny", rule);
    expect(denied).toMatchObject({ verdict: "deny", peers: undefined, ports: undefined });
    expect(denied.refusals).toHaveLength(1);
  });

  test("is no authentication that is switched off", () => {
    const rule = "fromEntities: [all]\nauthentication: {mode: disabled}";
    expect(ciliumRule("ingress", rule).refusals).toEqual([]);
  });

  test("are requirements on other rules: everybody is denied", () => {
    const { rule, refusals } = ciliumPolicy(
      `${ALL}ingress: [{fromRequires: [{}], fromEndpoints: [{}]}]`,
    );
    expect(rule.ingress).toMatchObject([
      { path: "spec.ingress[0].fromRequires", verdict: "deny", peers: undefined },
      { path: "spec.ingress[0]", verdict: "allow" },
    ]);
    expect(refusals).toHaveLength(1);
  });

  test("is a rule without a section, which has no effect", () => {
    expect(ciliumPolicy(ALL).refusals).toEqual([expect.stringContaining("no section has a rule")]);
  });

  test("is told in the line where it stands", () => {
    const { problems } = ciliumPolicy(`${ALL}ingress:\n- fromEntities:\n  - kube-apiserver`);
    expect(problems).toEqual([
      expect.stringMatching(/^7: Cannot honour spec\.ingress\[0\]\.fromEntities\[0\]: /),
    ]);
  });
});

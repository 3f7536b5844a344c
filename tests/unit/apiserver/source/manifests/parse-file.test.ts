import { describe, expect, test } from "@jest/globals";
import { parseManifestFile } from "../../../../../apiserver/source/manifests/parse-file.ts";

function problemsOf(text: string) {
  return parseManifestFile("a.yaml", text).problems.map(
    ({ severity, line, message, object }) => `${severity} ${line} ${object}: ${message}`,
  );
}

const POD = `apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop}
`;

describe("parseManifestFile()", () => {
  test("reads several documents, lists and comments", () => {
    const { objects, problems } = parseManifestFile(
      "a.yaml",
      `# first
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
- apiVersion: v1
  kind: Node
  metadata: {name: n1}
---
${POD}---
`,
    );
    expect(problems).toEqual([]);
    expect(objects.map(({ object, line }) => `${object.kind} ${object.name} ${line}`)).toEqual([
      "Namespace shop 6",
      "Node n1 7",
      "Pod cart-0 11",
    ]);
  });

  const broken: [string, string, string][] = [
    ["YAML that does not parse", "a: [b\n", "error 2 : Cannot parse YAML"],
    ["a document that is no map", "- a\n", "error 1 : Cannot use the document: want a map"],
    ["a document without a kind", "apiVersion: v1\n", "error 1 : Cannot use kind: it is missing"],
    [
      "a field of another type",
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: 5\n",
      "error 4 : Cannot use metadata.name: want text, got 5",
    ],
    [
      "an address that is none",
      `${POD}status:\n  podIPs:\n  - ip: 10.1.0.256\n`,
      "error 6 Pod shop/cart-0: Cannot use status.podIPs[0].ip: Cannot parse IP address",
    ],
    [
      "a loopback address",
      `${POD}status:\n  podIP: 127.0.0.1\n`,
      "error 5 Pod shop/cart-0: Cannot use status.podIP: 127.0.0.1 is a loopback address",
    ],
    [
      "a port out of range",
      `${POD}spec:\n  containers:\n  - ports:\n    - containerPort: 70000\n`,
      "error 7 Pod shop/cart-0: Cannot use spec.containers[0].ports[0].containerPort: want a whole number from 1 to 65535, got 70000",
    ],
    [
      "a prefix with host bits",
      "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec:\n  podCIDRs:\n  - 10.1.0.1/24\n",
      'error 6 Node n1: Cannot use spec.podCIDRs[0]: Cannot parse prefix "10.1.0.1/24"',
    ],
    [
      "a label that is no text",
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    version: 1\n",
      "error 6 Namespace shop: Cannot use metadata.labels.version: want text, got 1",
    ],
    [
      "an object that stands there twice",
      `${POD}---\n${POD}`,
      "error 5 Pod shop/cart-0: Cannot use Pod shop/cart-0 twice: it stands in line 1 too",
    ],
    ["a merge key", "<<: {a: b}\nkind: Pod\n", "error 1 : Cannot use <<: merge keys"],
  ];
  for (const [what, text, wanted] of broken) {
    test(`tells file, line and reason of ${what}, and gives no objects`, () => {
      const parsed = parseManifestFile(
        "a.yaml",
        `${text}---\napiVersion: v1\nkind: Namespace\nmetadata: {name: good}\n`,
      );
      expect(parsed.objects).toEqual([]);
      expect(parsed.problems[0]?.file).toBe("a.yaml");
      expect(problemsOf(text)[0]).toContain(wanted);
    });
  }

  test("warns once about kinds that are not used here", () => {
    const deployment = "apiVersion: apps/v1\nkind: Deployment\n---\n";
    expect(problemsOf(deployment + deployment)).toEqual([
      "warning 2 : Cannot use objects of kind apps/v1 Deployment: want Namespace, Node, Pod, Service, EndpointSlice, NetworkPolicy, CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy",
    ]);
  });

  test("gives policies of a broken file as well, closed where they cannot be read", () => {
    const policy = (kind: string, name: string, spec: string): string =>
      `apiVersion: cilium.io/v2\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
    const { objects, policies } = parseManifestFile(
      "a.yaml",
      policy("CiliumNetworkPolicy", "good", "{endpointSelector: {}, ingress: [{}]}") +
        policy("CiliumClusterwideNetworkPolicy", "bad", "{endpointSelector: 5}") +
        policy("CiliumNetworkPolicy", "half", "{endpointSelector: {}, ingress: 5}") +
        POD,
    );
    expect(objects).toEqual([]);
    expect(policies).toMatchObject([
      { line: 1, object: { kind: "CiliumNetworkPolicy", namespace: "default", name: "good" } },
      {
        line: 6,
        object: {
          kind: "CiliumClusterwideNetworkPolicy",
          namespace: "",
          name: "bad",
          rules: [{ subject: [], defaultDeny: { ingress: true, egress: true } }],
        },
      },
      {
        line: 11,
        object: {
          name: "half",
          rules: [{ subject: [{ values: ["default"] }], ingress: [{ verdict: "deny" }] }],
          refusals: [{ message: expect.stringContaining("it closes the pods that it selects") }],
        },
      },
    ]);
  });

  test("warns about an annotation at its line and keeps the service", () => {
    const text = `apiVersion: v1
kind: Service
metadata:
  name: cart
  namespace: shop
  annotations:
    service.cilium.io/global: "maybe"
spec: {clusterIP: None}
`;
    expect(problemsOf(text)).toEqual([
      'warning 7 Service shop/cart: Cannot use "maybe" as service.cilium.io/global: want "true" or "false"',
    ]);
    expect(parseManifestFile("a.yaml", text).objects).toHaveLength(1);
  });

  test("keeps the problems of one file within bounds", () => {
    const wrong = `${"apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n---\n".repeat(100)}`;
    expect(problemsOf(wrong)).toHaveLength(20);
  });

  test("survives aliases that refer to themselves many times over", () => {
    const bomb = `a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nkind: *c\napiVersion: v1\n`;
    expect(problemsOf(bomb)[0]).toContain("Cannot use kind: want a single value");
  });
});

import { describe, expect, test } from "@jest/globals";
import type {
  NodeObject,
  PodObject,
  ServiceObject,
  SliceObject,
  SourceObject,
} from "../../../../apiserver/source/objects.ts";
import { parseManifestFile } from "../../../../apiserver/source/manifests/parse-file.ts";

/** Reads one object given as JSON, which is YAML. */
function read<T extends SourceObject>(object: object, apiVersion = "v1"): T | undefined {
  const { objects, problems } = parseManifestFile(
    "a.yaml",
    JSON.stringify({ apiVersion, ...object }),
  );
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors[0]?.message);
  return objects[0]?.object as T | undefined;
}

const metadata = { name: "cart", namespace: "shop" };

describe("nodeFromFields()", () => {
  test("takes internal and external addresses and pod prefixes of both families", () => {
    const node = read<NodeObject>({
      kind: "Node",
      metadata: { name: "n1" },
      spec: { podCIDR: "10.1.0.0/24", podCIDRs: ["10.1.0.0/24", "FD01::/64"] },
      status: {
        addresses: [
          { type: "Hostname", address: "n1" },
          { type: "InternalIP", address: "192.168.1.1" },
          { type: "ExternalIP", address: "203.0.113.1" },
        ],
        nodeInfo: { bootID: "b" },
      },
    });
    expect(node).toMatchObject({
      podPrefixes: ["10.1.0.0/24", "fd01::/64"],
      bootId: "b",
      addresses: [
        { type: "InternalIP", ip: "192.168.1.1" },
        { type: "ExternalIP", ip: "203.0.113.1" },
      ],
    });
  });

  test("falls back to the single podCIDR", () => {
    const node = read<NodeObject>({ kind: "Node", metadata, spec: { podCIDR: "10.1.0.0/24" } });
    expect(node?.podPrefixes).toEqual(["10.1.0.0/24"]);
  });
});

describe("podFromFields()", () => {
  const ready = (status: string) => ({ conditions: [{ type: "Ready", status }] });
  const cases: [string, object | undefined, Partial<PodObject>][] = [
    ["without status", undefined, { ready: false, ips: [], finished: false }],
    [
      "with an address and no conditions",
      { podIP: "10.1.0.5" },
      { ready: true, ips: ["10.1.0.5"] },
    ],
    ["running without conditions", { phase: "Running" }, { ready: true }],
    ["pending without conditions", { phase: "Pending" }, { ready: false }],
    ["ready by its condition", ready("True"), { ready: true }],
    ["running but not ready", { phase: "Running", ...ready("False") }, { ready: false }],
    ["with conditions but none of readiness", { conditions: [] }, { ready: false }],
    ["that has succeeded", { phase: "Succeeded", podIP: "10.1.0.5" }, { finished: true }],
    [
      "with both families",
      { podIP: "10.1.0.5", podIPs: [{ ip: "10.1.0.5" }, { ip: "FD01::5" }] },
      { ips: ["10.1.0.5", "fd01::5"] },
    ],
  ];
  for (const [what, status, wanted] of cases) {
    test(`reads a pod ${what}`, () => {
      expect(read<PodObject>({ kind: "Pod", metadata, status })).toMatchObject(wanted);
    });
  }

  test("knows a terminating pod, its account and its sidecars' ports", () => {
    const pod = read<PodObject>({
      kind: "Pod",
      metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
      spec: {
        serviceAccountName: "robot",
        initContainers: [{ ports: [{ name: "proxy", containerPort: 15000 }] }],
        containers: [{ ports: [{ containerPort: 53, protocol: "UDP" }] }],
      },
    });
    expect(pod).toMatchObject({
      terminating: true,
      serviceAccount: "robot",
      ports: [
        { name: "", port: 53, protocol: "UDP" },
        { name: "proxy", port: 15000, protocol: "TCP" },
      ],
    });
  });
});

describe("serviceFromFields()", () => {
  const cases: [string, object, Partial<ServiceObject>][] = [
    ["with one address", { clusterIP: "10.96.0.1" }, { clusterIps: ["10.96.0.1"] }],
    [
      "of both families",
      {
        clusterIP: "10.96.0.1",
        clusterIPs: ["10.96.0.1", "fd96::1"],
        ipFamilies: ["IPv4", "IPv6"],
      },
      { clusterIps: ["10.96.0.1", "fd96::1"], families: [4, 6] },
    ],
    ["that is headless", { clusterIP: "None", clusterIPs: ["None"] }, { clusterIps: [] }],
    [
      "with ports",
      {
        clusterIP: "None",
        ports: [{ port: 80 }, { name: "dns", port: 53, protocol: "UDP", targetPort: "d" }],
      },
      {
        ports: [
          { name: "", port: 80, protocol: "TCP", target: 80 },
          { name: "dns", port: 53, protocol: "UDP", target: "d" },
        ],
      },
    ],
    [
      "that publishes pods early",
      { clusterIP: "None", publishNotReadyAddresses: true },
      { publishNotReady: true },
    ],
  ];
  for (const [what, spec, wanted] of cases) {
    test(`reads a service ${what}`, () => {
      expect(read<ServiceObject>({ kind: "Service", metadata, spec })).toMatchObject(wanted);
    });
  }

  test("reads session affinity with its default and its own time", () => {
    const affine = (extra: object) =>
      read<ServiceObject>({
        kind: "Service",
        metadata,
        spec: { clusterIP: "None", sessionAffinity: "ClientIP", ...extra },
      })?.settings.sessionAffinitySeconds;
    expect(affine({})).toBe(10_800);
    expect(affine({ sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } })).toBe(60);
    expect(() => affine({ sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } })).toThrow(
      "want a whole number from 1 to 86400",
    );
  });

  test("leaves ExternalName services out", () => {
    const spec = { type: "ExternalName", externalName: "example.test" };
    expect(read({ kind: "Service", metadata, spec })).toBeUndefined();
    const problemsOf = (annotations: object): string[] =>
      parseManifestFile(
        "a.yaml",
        JSON.stringify({
          apiVersion: "v1",
          kind: "Service",
          metadata: { ...metadata, annotations },
          spec,
        }),
      ).problems.map(({ message }) => message);
    expect(problemsOf({})).toEqual([]);
    expect(problemsOf({ "service.cilium.io/global": "true" })).toEqual([
      "Cannot share the service: its type ExternalName is an alias in DNS, without addresses and endpoints",
    ]);
  });
});

describe("sliceFromFields()", () => {
  const slice = (fields: object) => ({
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "cart" } },
    addressType: "IPv4",
    ...fields,
  });
  for (const apiVersion of ["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"]) {
    test(`reads ${apiVersion}`, () => {
      const endpoints = [
        { addresses: ["10.1.0.5"] },
        { addresses: ["10.1.0.6"], conditions: { ready: false, serving: true, terminating: true } },
      ];
      const ports = [{ name: "http", port: 8080 }, { name: "all" }];
      const object = read<SliceObject>(slice({ endpoints, ports }), apiVersion);
      expect(object).toMatchObject({
        serviceName: "cart",
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
        endpoints: [
          { addresses: ["10.1.0.5"], ready: true, serving: true, terminating: false },
          { addresses: ["10.1.0.6"], ready: false, serving: true, terminating: true },
        ],
      });
    });
  }

  test("refuses an address of the other family", () => {
    const endpoints = [{ addresses: ["fd01::5"] }];
    expect(() => read(slice({ endpoints }), "discovery.k8s.io/v1")).toThrow("want an IPv4 address");
  });

  test("leaves out slices of names and slices of no service", () => {
    const v1 = "discovery.k8s.io/v1";
    expect(read(slice({ addressType: "FQDN" }), v1)).toBeUndefined();
    expect(read({ ...slice({}), metadata }, v1)).toBeUndefined();
  });
});

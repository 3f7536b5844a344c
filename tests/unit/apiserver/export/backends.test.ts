import { describe, expect, test } from "@jest/globals";
import {
  backendsFromPods,
  backendsFromSlices,
  type Answering,
} from "../../../../apiserver/export/backends.ts";
import type {
  PodObject,
  ServiceObject,
  SliceEndpoint,
  SliceObject,
} from "../../../../apiserver/source/objects.ts";
import { DEFAULT_SERVICE_SETTINGS, type AddressPorts } from "../../../../mesh/core/service.ts";

const SERVICE: ServiceObject = {
  kind: "Service",
  namespace: "shop",
  name: "cart",
  labels: new Map(),
  selector: new Map([["app", "cart"]]),
  clusterIps: ["10.96.0.1"],
  families: [],
  ports: [{ name: "http", port: 80, protocol: "TCP", target: "web" }],
  publishNotReady: false,
  settings: DEFAULT_SERVICE_SETTINGS,
};

function pod(fields: Partial<PodObject>): PodObject {
  return {
    kind: "Pod",
    namespace: "shop",
    name: "cart-0",
    labels: new Map([["app", "cart"]]),
    serviceAccount: "default",
    nodeName: "n1",
    hostNetwork: false,
    ips: ["10.1.0.5", "fd01::5"],
    ports: [{ name: "web", port: 8080, protocol: "TCP" }],
    ready: true,
    terminating: false,
    finished: false,
    ...fields,
  };
}

/** Those that leave are marked. */
function plain({ backends, leaving }: Answering): Record<string, string[]> {
  const rows = (some: AddressPorts, mark: string): [string, string[]][] =>
    [...some].map(([address, ports]) => [
      `${mark}${address}`,
      [...ports].map(([name, { protocol, port }]) => `${name}=${port}/${protocol}`),
    ]);
  return Object.fromEntries([...rows(backends, ""), ...rows(leaving, "leaving ")]);
}

describe("backendsFromPods()", () => {
  const web = ["http=8080/TCP"];
  const leaving = pod({ ips: ["10.1.0.6"], terminating: true });
  const cases: [string, Partial<ServiceObject>, PodObject[], Record<string, string[]>][] = [
    ["takes the family of the ClusterIP", {}, [pod({})], { "10.1.0.5": web }],
    [
      "takes both families of a dual-stack service",
      { clusterIps: ["10.96.0.1", "fd96::1"] },
      [pod({})],
      { "10.1.0.5": web, "fd01::5": web },
    ],
    ["goes by ipFamilies first", { families: [6] }, [pod({})], { "fd01::5": web }],
    [
      "takes every family for a headless service",
      { clusterIps: [] },
      [pod({})],
      { "10.1.0.5": web, "fd01::5": web },
    ],
    ["leaves out pods that are not ready", {}, [pod({ ready: false })], {}],
    [
      "takes them where the service asks for it",
      { publishNotReady: true },
      [pod({ ready: false })],
      { "10.1.0.5": web },
    ],
    ["leaves out finished pods", {}, [pod({ finished: true })], {}],
    ["leaves out terminating pods while others serve", {}, [pod({}), leaving], { "10.1.0.5": web }],
    [
      "names terminating pods apart when none else is left",
      {},
      [leaving],
      { "leaving 10.1.0.6": web },
    ],
    ["leaves out pods without the named port", {}, [pod({ ports: [] })], {}],
    [
      "does not take a port of another protocol for the named one",
      {},
      [pod({ ports: [{ name: "web", port: 8080, protocol: "UDP" }] })],
      {},
    ],
    [
      "takes numbered ports as they are",
      { ports: [{ name: "", port: 80, protocol: "UDP", target: 9000 }] },
      [pod({ ports: [] })],
      { "10.1.0.5": ["=9000/UDP"] },
    ],
    [
      "takes addresses without ports for a headless service without ports",
      { ports: [], clusterIps: [] },
      [pod({ ips: ["10.1.0.5"] })],
      { "10.1.0.5": [] },
    ],
    [
      "takes a node's addresses under hostNetwork",
      {},
      [pod({ hostNetwork: true, ips: [] })],
      { "192.168.1.1": web },
    ],
  ];
  for (const [what, fields, pods, wanted] of cases) {
    test(what, () => {
      const backends = backendsFromPods({ ...SERVICE, ...fields }, pods, (one) =>
        one.ips.length > 0 ? one.ips : ["192.168.1.1"],
      );
      expect(plain(backends)).toEqual(wanted);
    });
  }
});

describe("backendsFromSlices()", () => {
  const endpoint = (address: string, fields: Partial<SliceEndpoint> = {}): SliceEndpoint => ({
    addresses: [address],
    ready: true,
    serving: true,
    terminating: false,
    ...fields,
  });
  const slice = (...endpoints: SliceEndpoint[]): SliceObject => ({
    kind: "EndpointSlice",
    namespace: "shop",
    name: "cart-1",
    serviceName: "cart",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints,
  });
  const gone = { ready: false, terminating: true };

  test("joins the slices of a service, by address and port name", () => {
    const other = {
      ...slice(endpoint("10.1.0.5")),
      ports: [{ name: "dns", port: 53, protocol: "UDP" as const }],
    };
    const backends = backendsFromSlices(SERVICE, [
      slice(endpoint("10.1.0.5"), endpoint("10.1.0.6")),
      other,
    ]);
    expect(plain(backends)).toEqual({
      "10.1.0.5": ["http=8080/TCP", "dns=53/UDP"],
      "10.1.0.6": ["http=8080/TCP"],
    });
  });

  test("names serving terminating endpoints apart, only when nothing is ready", () => {
    const leaving = endpoint("10.1.0.6", gone);
    const dead = endpoint("10.1.0.7", { ...gone, serving: false });
    expect(
      Object.keys(plain(backendsFromSlices(SERVICE, [slice(endpoint("10.1.0.5"), leaving)]))),
    ).toEqual(["10.1.0.5"]);
    expect(Object.keys(plain(backendsFromSlices(SERVICE, [slice(leaving, dead)])))).toEqual([
      "leaving 10.1.0.6",
    ]);
  });

  const ports = (name: string, port: number) => [{ name, port, protocol: "TCP" as const }];

  test("decides port by port: one that only leaving endpoints serve is theirs until they end", () => {
    const metrics = { ...slice(endpoint("10.1.0.6", gone)), ports: ports("metrics", 9090) };
    const http = slice(endpoint("10.1.0.5"), endpoint("10.1.0.6", gone));
    expect(plain(backendsFromSlices(SERVICE, [http, metrics]))).toEqual({
      "10.1.0.5": ["http=8080/TCP"],
      "leaving 10.1.0.6": ["metrics=9090/TCP"],
    });
  });

  test("takes pods whose port of one name differs, from their slices", () => {
    const next = { ...slice(endpoint("10.1.0.6")), ports: ports("http", 9090) };
    expect(plain(backendsFromSlices(SERVICE, [slice(endpoint("10.1.0.5")), next]))).toEqual({
      "10.1.0.5": ["http=8080/TCP"],
      "10.1.0.6": ["http=9090/TCP"],
    });
  });

  test("takes an endpoint once that stands in two slices while it is moved, ready in either", () => {
    const stale = slice(endpoint("10.1.0.5", { ready: false, serving: false }));
    const moved = slice(endpoint("10.1.0.5"));
    expect(plain(backendsFromSlices(SERVICE, [stale, moved, moved]))).toEqual({
      "10.1.0.5": ["http=8080/TCP"],
    });
  });

  test("takes endpoints that are not ready if the service publishes them", () => {
    const starting = slice(endpoint("10.1.0.5", { ready: false, serving: false }));
    const published = { ...SERVICE, publishNotReady: true };
    expect(Object.keys(plain(backendsFromSlices(published, [starting])))).toEqual(["10.1.0.5"]);
    expect(plain(backendsFromSlices(SERVICE, [starting]))).toEqual({});
  });

  test("takes both families of a dual-stack service, and endpoints without ports", () => {
    const six = { ...slice(endpoint("fd01::5")), name: "cart-2", ports: [] };
    expect(plain(backendsFromSlices(SERVICE, [slice(endpoint("10.1.0.5")), six]))).toEqual({
      "10.1.0.5": ["http=8080/TCP"],
      "fd01::5": [],
    });
  });
});

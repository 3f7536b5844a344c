import { describe, expect, test } from "@jest/globals";
import {
  configMapFromSettings,
  etcdEndpointsOfNodes,
  hasMoreAddresses,
  joinEndpointsOfNodes,
  MAX_NODE_ENDPOINTS,
  profileFromSettings,
  settingsFromConfigMap,
  type NodeObject,
} from "../../../../mesh/connect/kubernetes-profile.ts";

const IDENTITY = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const FOUND = { ...IDENTITY, etcdEndpoints: undefined, joinEndpoint: undefined };

function node(name: string, ...addresses: string[]): NodeObject {
  const internal = addresses.map((address) => ({ type: "InternalIP", address }));
  const status = { addresses: [{ type: "Hostname", address: name }, ...internal] };
  return { metadata: { name }, status };
}

describe("settingsFromConfigMap()", () => {
  test("reads what was written, with and without endpoints", () => {
    const given = { ...IDENTITY, etcdEndpoints: ["https://lb:32379"], joinEndpoint: "lb:32381" };
    for (const settings of [FOUND, given]) {
      expect(settingsFromConfigMap(configMapFromSettings(settings, "ns"))).toEqual(settings);
    }
  });

  test("names the object and the key that is missing or wrong", () => {
    expect(() => settingsFromConfigMap(undefined)).toThrow(
      'Cannot read the cluster\'s profile from ConfigMap "tombolo-cluster": there is no such ConfigMap',
    );
    const empty = { metadata: { name: "tombolo-cluster", namespace: "ns" } };
    expect(() => settingsFromConfigMap(empty)).toThrow('there is no "cluster.json"');
    const broken = { ...empty, data: { "cluster.json": "{" } };
    expect(() => settingsFromConfigMap(broken)).toThrow(
      'Cannot parse cluster profile "ConfigMap ns/tombolo-cluster, key cluster.json" as JSON',
    );
    const text = JSON.stringify({ ...IDENTITY, etcdEndpoints: [] });
    expect(() => settingsFromConfigMap({ ...empty, data: { "cluster.json": text } })).toThrow(
      'Cannot use "etcdEndpoints" of "ConfigMap ns/tombolo-cluster, key cluster.json"',
    );
  });
});

describe("profileFromSettings()", () => {
  test("finds the endpoints at every node's internal addresses", () => {
    const nodes = [
      node("b", "10.0.0.2", "fd00::2"),
      node("a", "10.0.0.1"),
      node("c", "c.internal"),
    ];
    expect(profileFromSettings(FOUND, nodes)).toEqual({
      ...IDENTITY,
      etcdEndpoints: [
        "https://10.0.0.1:32379",
        "https://10.0.0.2:32379",
        "https://[fd00::2]:32379",
      ],
      joinEndpoint: "10.0.0.1:32381",
    });
    expect(joinEndpointsOfNodes(nodes)).toEqual([
      "10.0.0.1:32381",
      "10.0.0.2:32381",
      "[fd00::2]:32381",
    ]);
  });

  test("asks the nodes only for what is missing", () => {
    const settings = { ...FOUND, etcdEndpoints: ["https://lb:1"] };
    const profile = profileFromSettings(settings, [node("a", "10.0.0.1")]);
    expect(profile.etcdEndpoints).toEqual(["https://lb:1"]);
    expect(profile.joinEndpoint).toBe("10.0.0.1:32381");
  });

  test("names what to do when no node has an address", () => {
    expect(() => profileFromSettings(FOUND, [{ metadata: { name: "a" } }])).toThrow(
      'Cannot find the endpoints of cluster "east": no node has an InternalIP',
    );
  });

  test("takes a bounded number of nodes, always the same ones", () => {
    const nodes = Array.from({ length: 40 }, (_, i) => node(`n${i + 10}`, `10.0.0.${i}`));
    const endpoints = etcdEndpointsOfNodes(nodes);
    expect(endpoints).toHaveLength(MAX_NODE_ENDPOINTS);
    expect(etcdEndpointsOfNodes(nodes.toReversed())).toEqual(endpoints);
  });

  test("names the apiserver's node, then those of the control plane, in the order of names", () => {
    const nodes = Array.from({ length: 40 }, (_, i) => node(`n${i + 10}`, `10.0.0.${i}`));
    const label = { "node-role.kubernetes.io/control-plane": "" };
    const marked = nodes.map((item, i) =>
      i === 30 ? { ...item, metadata: { ...item.metadata, labels: label } } : item,
    );
    expect(hasMoreAddresses(nodes)).toBe(true);
    const found = etcdEndpointsOfNodes(marked, "n49");
    expect(found).toHaveLength(MAX_NODE_ENDPOINTS);
    expect(found.slice(-3)).toEqual([13, 30, 39].map((i) => `https://10.0.0.${i}:32379`));
    // Where all are named, nothing depends on where the apiserver is.
    const few = marked.slice(0, 3);
    expect(hasMoreAddresses(few)).toBe(false);
    expect(etcdEndpointsOfNodes(few, "n12")).toEqual(etcdEndpointsOfNodes(few));
  });

  test("names every node once before it names one twice", () => {
    const nodes = Array.from({ length: 12 }, (_, i) =>
      node(`n${i + 10}`, `10.0.0.${i}`, `fd00::${i + 1}`),
    );
    const found = etcdEndpointsOfNodes(nodes);
    expect(found).toHaveLength(MAX_NODE_ENDPOINTS);
    expect(found.filter((endpoint) => endpoint.includes("10.0.0."))).toHaveLength(12);
  });
});

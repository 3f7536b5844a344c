import { describe, expect, test } from "@jest/globals";
import {
  findKubernetesCluster,
  findKubernetesNode,
  kubernetesServiceAddresses,
  planKubernetes,
} from "../../../../../deploy/lab/kubernetes/plan.ts";
import { planLab } from "../../../../../deploy/lab/plan.ts";

const size = { name: "lab", clusters: ["east", "west"], nodesPerCluster: 2 };
const lab = planLab({ ...size, kubernetes: { assets: "/assets", install: true } }, "/home");
const manifests = planLab(size, "/home");

describe("planKubernetes()", () => {
  test("gives every cluster its own prefixes, and a server where its control namespace is", () => {
    const plans = planKubernetes(lab);
    expect(plans.map(({ server }) => server)).toEqual([
      "https://198.18.1.2:6443",
      "https://198.18.2.2:6443",
    ]);
    expect(plans.map(({ podPrefixes }) => podPrefixes)).toEqual([
      ["10.1.0.0/16", "fd00:10:1::/48"],
      ["10.2.0.0/16", "fd00:10:2::/48"],
    ]);
  });

  test("names cgroups so that no other lab's name is the beginning of them", () => {
    const names = planKubernetes(lab).flatMap(({ nodes }) => nodes.map(({ cgroupV1 }) => cgroupV1));
    expect(names).toHaveLength(4);
    for (const name of names) expect(name.startsWith(lab.namespacePrefix)).toBe(true);
  });
});

describe("kubernetesServiceAddresses()", () => {
  test("are the first ones of the service prefixes", () => {
    const addresses = lab.members.map(kubernetesServiceAddresses);
    expect(addresses[1]).toEqual(["10.98.0.1", "fd00:96:2::1"]);
  });
});

describe("findKubernetesCluster()", () => {
  test("finds a cluster, and refuses what Kubernetes is not in", () => {
    expect(findKubernetesCluster(lab, "west").cluster.id).toBe(2);
    expect(() => findKubernetesCluster(lab, "north")).toThrow('Cannot find cluster "north"');
    expect(() => findKubernetesCluster(manifests, "west")).toThrow("one of manifests");
  });
});

describe("findKubernetesNode()", () => {
  test("finds nodes only, and only in a lab of Kubernetes", () => {
    const [east] = lab.members;
    if (east === undefined) throw new Error("no cluster");
    const pin = "/run/tombolo/lab/mnt/east-node1";
    for (const node of east.nodes.slice(0, 1)) {
      expect(findKubernetesNode(lab, node)?.mountNamespace).toBe(pin);
      expect(findKubernetesNode(manifests, node)).toBeUndefined();
    }
    expect(findKubernetesNode(lab, east.control)).toBeUndefined();
  });
});

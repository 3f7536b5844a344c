import { describe, expect, test } from "@jest/globals";
import {
  clusterComponents,
  containerdConfiguration,
  kubeletConfiguration,
} from "../../../../../deploy/lab/kubernetes/components.ts";
import { findKubernetesCluster } from "../../../../../deploy/lab/kubernetes/plan.ts";
import { planLab } from "../../../../../deploy/lab/plan.ts";

const lab = planLab(
  {
    name: "lab",
    clusters: ["east", "west"],
    nodesPerCluster: 2,
    kubernetes: { assets: "/assets", install: true },
  },
  "/home",
);
const plan = findKubernetesCluster(lab, "west");
const components = clusterComponents(lab, { plan, assets: "/assets", cgroupRoot: "/cg" });

describe("clusterComponents()", () => {
  test("are a control plane and two programs a node, each with its own log and cgroup", () => {
    expect(components.map(({ name }) => name)).toEqual([
      "west-control.etcd",
      "west-node1.containerd",
      "west-node2.containerd",
      "west-control.kube-apiserver",
      "west-control.kube-controller-manager",
      "west-control.kube-scheduler",
      "west-node1.kubelet",
      "west-node2.kubelet",
    ]);
    for (const key of ["logFile", "recordFile", "cgroup"] as const) {
      expect(new Set(components.map((component) => component[key])).size).toBe(components.length);
    }
  });

  test("live in their node's mount namespace, and only a runtime leaves processes", () => {
    const where = components.map(({ kind, mountNamespace, leavesProcesses }) => ({
      kind,
      ofNode: mountNamespace !== undefined,
      leaves: leavesProcesses === true,
    }));
    for (const { kind, ofNode, leaves } of where) {
      expect(ofNode).toBe(kind === "kubelet" || kind === "containerd");
      expect(leaves).toBe(kind === "containerd");
    }
  });

  test("allot pods' and services' addresses from the plan's prefixes", () => {
    const flags = components.flatMap(({ argv }) => argv);
    expect(flags).toContain("--cluster-cidr=10.2.0.0/16,fd00:10:2::/48");
    expect(flags).toContain("--service-cluster-ip-range=10.98.0.0/16,fd00:96:2::/112");
    expect(flags).toContain("--advertise-address=198.18.2.2");
    expect(flags).toContain("--node-ip=198.18.2.6");
  });
});

describe("kubeletConfiguration()", () => {
  test("lets nobody in without a certificate of the cluster's authority", () => {
    expect(kubeletConfiguration(plan)).toMatchObject({
      authentication: {
        anonymous: { enabled: false },
        x509: { clientCAFile: "/home/lab/lab/clusters/west/kubernetes/pki/ca.crt" },
      },
    });
  });
});

describe("containerdConfiguration()", () => {
  test("takes the sandbox from what was imported", () => {
    expect(containerdConfiguration("localhost/a:1")).toContain('sandbox_image = "localhost/a:1"');
  });
});

import { describe, expect, test } from "@jest/globals";
import { kubectlArgv } from "../../../../../deploy/lab/kubernetes/kubectl.ts";
import { findKubernetesCluster } from "../../../../../deploy/lab/kubernetes/plan.ts";
import { planLab } from "../../../../../deploy/lab/plan.ts";

const kubernetes = { assets: "/assets", install: true };
const size = { name: "lab", clusters: ["east"], nodesPerCluster: 1, kubernetes };

describe("kubectlArgv()", () => {
  test("leaves nothing in the caller's home and passes the words on", () => {
    const argv = kubectlArgv(findKubernetesCluster(planLab(size, "/home"), "east"), [
      "get",
      "pods",
    ]);
    expect(argv[0]).toBe("kubectl");
    expect(argv).toContain("--cache-dir=/home/lab/lab/clusters/east/kubernetes/kubectl-cache");
    expect(argv.slice(-2)).toEqual(["get", "pods"]);
  });
});

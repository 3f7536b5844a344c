import { describe, expect, test } from "@jest/globals";
import { installWords } from "../../../../../deploy/lab/kubernetes/install.ts";
import { findKubernetesCluster } from "../../../../../deploy/lab/kubernetes/plan.ts";
import { planLab } from "../../../../../deploy/lab/plan.ts";

const kubernetes = { assets: "/assets", install: true };
const size = { name: "lab", clusters: ["east", "west"], nodesPerCluster: 1, kubernetes };

describe("installWords()", () => {
  test("name the cluster, the image, and the Kubernetes API as it is reached without Services", () => {
    const plan = findKubernetesCluster(planLab(size, "/home"), "west");
    expect(installWords(plan, "localhost/tombolo:1")).toEqual(
      expect.arrayContaining([
        "install",
        "--cluster-name=west",
        "--cluster-id=2",
        "--image=localhost/tombolo:1",
        "--api-server=198.18.2.2:6443",
      ]),
    );
  });
});

import { describe, expect, test } from "@jest/globals";
import { findCluster, planLab } from "../../../../deploy/lab/plan.ts";
import {
  serviceAddresses,
  serviceManifest,
  serviceTargets,
} from "../../../../deploy/lab/services.ts";

const plan = planLab({ name: "lab", clusters: ["east", "west"], nodesPerCluster: 1 }, "/h");
const west = findCluster(plan, "west");
const CART = {
  namespace: "shop",
  name: "cart",
  number: 10,
  annotations: { "service.cilium.io/global": "true" },
  selector: { app: "cart" },
  port: 80,
  targetPort: 8080,
};

describe("serviceAddresses()", () => {
  test("takes one address of each family from the cluster's own prefixes", () => {
    expect(serviceAddresses(west, 10)).toEqual(["10.98.0.10", "fd00:96:2::a"]);
  });

  test("refuses the address that names the prefix", () => {
    expect(() => serviceAddresses(west, 0)).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });
});

describe("serviceManifest()", () => {
  test("has both families and both protocols", () => {
    expect(serviceManifest(west, CART)).toMatchObject({
      metadata: { name: "cart", annotations: { "service.cilium.io/global": "true" } },
      spec: {
        clusterIPs: ["10.98.0.10", "fd00:96:2::a"],
        selector: { app: "cart" },
        ports: [
          { protocol: "TCP", port: 80, targetPort: 8080 },
          { protocol: "UDP", port: 80, targetPort: 8080 },
        ],
      },
    });
  });
});

describe("serviceTargets()", () => {
  test("names every way to reach the service", () => {
    expect(serviceTargets(west, CART)).toEqual([
      "tcp:10.98.0.10:80",
      "tcp:[fd00:96:2::a]:80",
      "udp:10.98.0.10:80",
      "udp:[fd00:96:2::a]:80",
    ]);
  });
});

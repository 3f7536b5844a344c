import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import {
  deleteManifest,
  listManifests,
  manifestFile,
  namespaceManifest,
  nodeManifest,
  podManifest,
  writeManifest,
} from "../../../../deploy/lab/manifests.ts";
import { findCluster, findNode, planLab } from "../../../../deploy/lab/plan.ts";

const plan = planLab({ name: "lab", clusters: ["east"], nodesPerCluster: 1 }, "/h");
const node = findNode(findCluster(plan, "east"), "node1");
const POD = {
  name: "cart-1",
  namespace: "shop",
  uid: "u",
  labels: { app: "cart" },
  serviceAccount: "cart",
  ports: [{ name: "main", containerPort: 8080, protocol: "TCP" }],
  addresses: ["10.1.1.2", "fd00:10:1:1::2"],
  ready: true,
} as const;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-manifests-"));
});
afterAll(() => rm(directory, { recursive: true }));

describe("nodeManifest()", () => {
  test("has addresses and pod prefixes of both families", () => {
    expect(nodeManifest(node)).toMatchObject({
      metadata: { name: "east-node1" },
      spec: { podCIDRs: ["10.1.1.0/24", "fd00:10:1:1::/64"] },
      status: {
        addresses: [
          { type: "Hostname", address: "east-node1" },
          { type: "InternalIP", address: "198.18.1.6" },
          { type: "InternalIP", address: "fd00:18:1:1::2" },
        ],
      },
    });
  });
});

describe("podManifest()", () => {
  test("tells where a ready pod is reached", () => {
    expect(podManifest(POD, node)).toMatchObject({
      metadata: { name: "cart-1", namespace: "shop", labels: { app: "cart" } },
      spec: { nodeName: "east-node1", serviceAccountName: "cart" },
      status: {
        phase: "Running",
        podIP: "10.1.1.2",
        podIPs: [{ ip: "10.1.1.2" }, { ip: "fd00:10:1:1::2" }],
        conditions: [{ type: "Ready", status: "True" }],
      },
    });
  });

  test("tells that a pod is being taken away", () => {
    const deletionTimestamp = "2026-01-01T00:00:00.000Z";
    expect(podManifest({ ...POD, ready: false, deletionTimestamp }, node)).toMatchObject({
      metadata: { deletionTimestamp },
      status: { conditions: [{ type: "Ready", status: "False" }] },
    });
  });
});

describe("writeManifest()", () => {
  test("writes one object a file, whole, and deleteManifest() removes it, twice", async () => {
    await writeManifest(directory, namespaceManifest("shop"));
    await writeManifest(directory, podManifest(POD, node));
    expect(await readdir(directory)).toHaveLength(2);
    expect(await listManifests(directory)).toEqual(["namespace.shop.yaml", "pod.shop.cart-1.yaml"]);
    const text = await readFile(join(directory, "pod.shop.cart-1.yaml"), "utf8");
    expect(parse(text)).toEqual(podManifest(POD, node));
    for (const _ of [1, 2]) await deleteManifest(directory, podManifest(POD, node));
    expect(await listManifests(directory)).toEqual(["namespace.shop.yaml"]);
  });
});

describe("manifestFile()", () => {
  test("never names two objects alike", () => {
    const names = [
      { kind: "Pod", metadata: { namespace: "a", name: "b" } },
      { kind: "Service", metadata: { namespace: "a", name: "b" } },
      { kind: "Pod", metadata: { namespace: "a-b", name: "b" } },
      { kind: "Namespace", metadata: { name: "a" } },
    ].map(manifestFile);
    expect(new Set(names).size).toBe(names.length);
  });
});

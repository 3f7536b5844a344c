import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLabPlace } from "../../../../deploy/lab/enter.ts";
import { writeJson } from "../../../../deploy/lab/json-file.ts";
import { planLab } from "../../../../deploy/lab/plan.ts";
import type { PodHost } from "../../../../deploy/lab/pods.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

let home: string;
let host: PodHost;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-enter-"));
  const plan = planLab({ name: "lab", clusters: ["east"], nodesPerCluster: 1 }, home);
  host = { plan, cgroupRoot: "/cg", clock: systemClock };
  for (const namespace of ["shop", "default"]) {
    const workload = { kind: "command", argv: ["true"] };
    const pod = { cluster: "east", node: "node1", namespace, name: "client", workload };
    await writeJson(join(plan.paths.pods, `east.${namespace}.client.json`), pod);
  }
});
afterAll(() => rm(home, { recursive: true }));

describe("findLabPlace()", () => {
  for (const [address, namespace, cgroup] of [
    ["east/node1", "east-node1", "east-node1/exec"],
    ["east/east-node1", "east-node1", "east-node1/exec"],
    ["east/control", "east-control", "east-control/exec"],
    ["east/shop/client", "east-pod.shop.client", "east-node1/pods/shop.client"],
    ["east/client", "east-pod.default.client", "east-node1/pods/default.client"],
  ] as const) {
    test(`finds ${address}`, async () => {
      expect(await findLabPlace(host, address)).toMatchObject({
        namespace: `tombolo-lab-${namespace}`,
        cgroup: `/cg/tombolo-lab/${cgroup}`,
      });
    });
  }

  for (const [address, code] of [
    ["east", "invalid_argument"],
    ["east/", "invalid_argument"],
    ["east/shop/client/main", "invalid_argument"],
    ["north/node1", "not_found"],
    ["east/shop/other", "not_found"],
  ] as const) {
    test(`refuses ${address} with ${code}`, async () => {
      await expect(findLabPlace(host, address)).rejects.toMatchObject({ code });
    });
  }

  test("names the pods there are", async () => {
    await expect(findLabPlace(host, "east/node7")).rejects.toMatchObject({
      hint: "there are: east/default/client, east/shop/client",
    });
  });
});

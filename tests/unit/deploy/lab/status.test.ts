import { describe, expect, test } from "@jest/globals";
import { planLab } from "../../../../deploy/lab/plan.ts";
import { isLabWhole, readLabStatus } from "../../../../deploy/lab/status.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

const name = `unit${process.pid}`;

describe("readLabStatus()", () => {
  test("shows everything of a lab that is not there as dead or missing", async () => {
    const plan = planLab({ name, clusters: ["east"], nodesPerCluster: 1 }, "/nowhere");
    const status = await readLabStatus({ plan, cgroupRoot: "/cg", clock: systemClock });
    expect(status).toMatchObject({
      name,
      clusters: [{ name: "east", id: 1, nodes: [{ name: "east-node1", namespaceExists: false }] }],
      processes: [
        { name: "east-control.apiserver", pid: undefined },
        { name: "east-node1.agent", pid: undefined },
      ],
      pods: [],
    });
    expect(isLabWhole(status)).toBe(false);
    const processes = status.processes.map((process) => ({ ...process, pid: 1 }));
    const clusters = status.clusters.map((cluster) => ({
      ...cluster,
      nodes: cluster.nodes.map((node) => ({ ...node, namespaceExists: true })),
    }));
    expect(isLabWhole({ ...status, processes, clusters })).toBe(true);
  });
});

import { describe, expect, test } from "@jest/globals";
import { parseAgentConfig } from "../../../../agent/config.ts";
import { agentConfig, apiserverConfig, labDaemons } from "../../../../deploy/lab/daemons.ts";
import { findCluster, findNode, planLab } from "../../../../deploy/lab/plan.ts";

const plan = planLab({ name: "lab", clusters: ["east", "west"], nodesPerCluster: 2 }, "/h");
const west = findCluster(plan, "west");

describe("agentConfig()", () => {
  test("is one that the agent takes, and balances pods only", () => {
    const node = findNode(west, "node2");
    const config = agentConfig(plan, { node, cgroupRoot: "/cg" });
    expect(parseAgentConfig(JSON.stringify(config), "agent.json")).toMatchObject({
      cluster: { name: "west", id: 2 },
      nodeName: "west-node2",
      etcd: { kind: "fixed", endpoints: ["https://198.18.2.2:2379"] },
      bpfRoot: "/run/tombolo/lab/bpf/west-node2",
      cgroup: { kind: "path", path: "/cg/tombolo-lab/west-node2/pods" },
    });
  });
});

describe("apiserverConfig()", () => {
  test("listens where peers can reach it, and for health on the loopback only", () => {
    expect(apiserverConfig(west)).toMatchObject({
      directory: "/h/lab/lab/clusters/west",
      etcd: { mode: "embedded", listen: "https://198.18.2.2:2379" },
      healthListen: "127.0.0.1:9880",
      joinListen: "198.18.2.2:9881",
    });
  });
});

describe("labDaemons()", () => {
  test("gives each its own cgroup outside of the pods', log and record", () => {
    const daemons = labDaemons(plan, "/cg");
    expect(daemons.map(({ name }) => name)).toEqual([
      "east-control.apiserver",
      "west-control.apiserver",
      "east-node1.agent",
      "east-node2.agent",
      "west-node1.agent",
      "west-node2.agent",
    ]);
    for (const field of ["cgroup", "logFile", "recordFile", "namespace"] as const) {
      expect(new Set(daemons.map((daemon) => daemon[field])).size).toBe(daemons.length);
    }
    expect(daemons.some(({ cgroup }) => cgroup.includes("/pods"))).toBe(false);
  });
});

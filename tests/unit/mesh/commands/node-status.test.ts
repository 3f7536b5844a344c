import { describe, expect, test } from "@jest/globals";
import {
  formatNodeStatus,
  isNodeWell,
  nodeStatusCommand,
} from "../../../../mesh/commands/node-status.ts";
import { runCommand, startAgentApi, STATUS } from "../../../fakes/agent-api.ts";

const output = { write: () => {}, colour: false };

describe("nodeStatusCommand", () => {
  test("prints the agent's clusters and tables", async () => {
    await using api = await startAgentApi();
    const { status, text } = await runCommand(nodeStatusCommand, ["--node", "east-1"], api);
    expect(status).toBe(0);
    expect(text).toBe(
      [
        "east-1 of cluster east (id 1), Tombolo 0.1.0: ready",
        "pods 10.1.1.0/24, MTU 1450",
        "flows ended 12: cluster-down 10, drain 2",
        "",
        "CLUSTER     ID  SESSION  HEARTBEAT  NODES  ENDPOINTS  SERVICES  REFUSED  NEW CONNECTIONS",
        "east (own)   1  ready       3s ago      2          5         3        0  yes",
        "",
        "TABLE    DESIRED  APPLIED  FAILED  CONTESTED  PRUNED",
        "ipcache        9        9       0          0  yes",
        "",
      ].join("\n"),
    );
  });

  test("prints the same as JSON, and needs no --node where there is one node", async () => {
    await using api = await startAgentApi();
    const { text } = await runCommand(nodeStatusCommand, ["--output", "json"], api);
    expect(JSON.parse(text)).toEqual(STATUS);
  });

  test("returns 1 for an agent that is not ready", async () => {
    await using api = await startAgentApi({ status: { ...STATUS, ready: false } });
    const { status } = await runCommand(nodeStatusCommand, ["--socket", api.socket], api);
    expect(status).toBe(1);
  });

  test("returns 0 while a cluster is drained: it serves where nobody else can", async () => {
    const clusters = STATUS.clusters.map((cluster) => ({ ...cluster, drainedPercent: 100 }));
    await using api = await startAgentApi({ status: { ...STATUS, clusters } });
    const { status } = await runCommand(nodeStatusCommand, ["--socket", api.socket], api);
    expect(status).toBe(0);
  });

  test("refuses words", async () => {
    await expect(runCommand(nodeStatusCommand, ["east-1"], { home: "/nowhere" })).rejects.toThrow(
      'Cannot use "east-1": name the node with --node',
    );
  });
});

describe("isNodeWell()", () => {
  test("is false when a row has failed", () => {
    expect(isNodeWell(STATUS)).toBe(true);
    const reconcilers = STATUS.reconcilers.map((table) => ({ ...table, failed: 1 }));
    expect(isNodeWell({ ...STATUS, reconcilers })).toBe(false);
  });
});

describe("formatNodeStatus()", () => {
  const [east] = STATUS.clusters;
  if (east === undefined) throw new Error("no cluster");
  const cases = [
    [{ drillSeconds: 12.3 }, "no: drill for 13s more"],
    [{ health: "down" }, "no: down"],
    [{ drainedPercent: 100 }, "drained: only where nobody else can serve"],
    [{ drainedPercent: 30 }, "yes, drained by 30 %"],
    [{ session: "refused" }, "-"],
  ] as const;
  for (const [change, wanted] of cases) {
    test(`says "${wanted}" for ${JSON.stringify(change)}`, () => {
      const text = formatNodeStatus({ ...STATUS, clusters: [{ ...east, ...change }] }, output);
      const line = text.split("\n").find((part) => part.startsWith("east (own)"));
      expect(line?.endsWith(`  ${wanted}`)).toBe(true);
    });
  }

  test("says how many flows were ended, and what the kernel refused", () => {
    const some = { ended: [], failures: 2, lastProblem: "Cannot end sockets", namespaces: 1 };
    const flows = { ...some, namespacesFailed: 0 };
    const text = formatNodeStatus({ ...STATUS, flows }, output);
    expect(text).toContain("\nflows ended 0; failures 2\n");
    expect(text).toContain("! flows: Cannot end sockets\n");
    expect(formatNodeStatus({ ...STATUS, flows: null }, output)).not.toContain("flows");
  });

  test("ends with what an operator should know", () => {
    const text = formatNodeStatus(
      {
        ...STATUS,
        reasons: ["This node is not in etcd yet, or has no pod prefix"],
        clusters: [
          {
            ...east,
            session: "stale",
            reason: "no heartbeat of its writer",
            listed: false,
            rejected: 2,
            rejectedLatest: ["a", "b"],
          },
        ],
        reconcilers: STATUS.reconcilers.map((table) => ({
          ...table,
          failedLatest: [{ key: "10.1.1.5/32", reason: "the map is full" }],
        })),
      },
      output,
    );
    expect(text.split("\n").filter((line) => line.startsWith("!"))).toEqual([
      "! This node is not in etcd yet, or has no pod prefix",
      "! cluster east is stale: no heartbeat of its writer",
      "! cluster east is not listed any more, but its removal is not certain",
      "! cluster east: 2 records refused, last: a; b",
      "! ipcache 10.1.1.5/32: the map is full",
    ]);
  });
});

// Health on real parts: a cluster that is cut off the underlay goes down in the datapath of a node
// of another one, stays down while that node's agent is killed and started again, and comes back in
// steps; agents that are paused move nothing; a node that is cut off itself declares nobody dead.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openDatapathMaps, type DatapathMaps } from "../../bpf/datapath.ts";
import { ClusterHealth } from "../../bpf/gen/layout.ts";
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import { labDaemons } from "../../deploy/lab/daemons.ts";
import { findCluster } from "../../deploy/lab/plan.ts";
import type { PodHost } from "../../deploy/lab/pods.ts";
import { cutUnderlay, healUnderlay } from "../../deploy/lab/underlay.ts";
import { createAgentClient, type AgentClient } from "../../mesh/api/agent-client.ts";
import type { AgentHealth } from "../../mesh/api/agent-messages.ts";
import { findLocalNode } from "../../mesh/contexts/local-nodes.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { eventually } from "../fakes/eventually.ts";
import { createTestLab, killDaemons, mustSucceed, never, UP_LIMIT_MS } from "./test-lab.ts";

const LIMIT_MS = 120_000;
/** Half a second by design; a machine that runs other tests may be many times as slow. */
const DOWN_LIMIT_MS = 5_000;
const OBSERVER = "east-node1";
const lab = createTestLab("health");
let host: PodHost;
let maps: DatapathMaps;
let client: AgentClient;
let west: number;
let north: number;

beforeAll(async () => {
  mustSucceed(await lab.up(["--clusters", "east,west,north"]));
  mustSucceed(await lab.mesh(["connect", "--all", "east", "west", "north"]));
  host = await lab.open();
  west = findCluster(host.plan, "west").id;
  north = findCluster(host.plan, "north").id;
  const find = (field: "bpfRoot" | "socket"): Promise<string> =>
    findLocalNode(field, { home: lab.home, node: OBSERVER, instead: "" });
  maps = openDatapathMaps(await find("bpfRoot"));
  client = createAgentClient({ socket: await find("socket"), clock: systemClock });
  await allHealthy();
}, UP_LIMIT_MS);

afterAll(async () => {
  client?.close();
  maps?.[Symbol.dispose]();
  await lab.remove();
}, LIMIT_MS);

const health = (): Promise<AgentHealth> => client.getHealth({}, never);

/** What the datapath does with a cluster over IPv4 and IPv6. */
function rowOf(clusterId: number): readonly [ClusterHealth, ClusterHealth] {
  const state = maps.clusterState.get(clusterId);
  if (state === undefined) throw new Error(`no row of cluster ${clusterId}`);
  return [state.healthIpv4, state.healthIpv6];
}

function isDown(clusterId: number): boolean {
  return rowOf(clusterId).every((family) => family === ClusterHealth.down);
}

/** Both other clusters, in both families, by the judge and by the datapath. */
function allHealthy(): Promise<unknown> {
  return eventually(
    async () => {
      const { clusters } = await health();
      const rows = [rowOf(west), rowOf(north)].flat();
      return (
        clusters.length === 4 &&
        clusters.every(({ state }) => state === "healthy") &&
        rows.every((family) => family === ClusterHealth.healthy)
      );
    },
    { limitMs: LIMIT_MS, pollMs: 100 },
  );
}

async function pidsOfAgents(cluster: string): Promise<number[]> {
  const agents = labDaemons(host.plan, host.cgroupRoot).filter(
    (daemon) => daemon.kind === "agent" && daemon.cluster === cluster,
  );
  return (await Promise.all(agents.map(({ cgroup }) => listProcesses(cgroup)))).flat();
}

describe("a cluster whose underlay is cut", () => {
  test(
    "goes down, stays down when the agent is killed and started again, and returns in steps",
    async () => {
      const cutMs = performance.now();
      await cutUnderlay(host.plan, { where: "west", direction: "both" }, never);
      await eventually(() => isDown(west), { limitMs: DOWN_LIMIT_MS });
      const downMs = performance.now() - cutMs;
      expect(rowOf(north)).toEqual([ClusterHealth.healthy, ClusterHealth.healthy]);

      expect(await killDaemons(host, ({ name }) => name === `${OBSERVER}.agent`)).toBe(1);
      const up = lab.up(["--clusters", "east,west,north"]);
      let looks = 0;
      let lapses = 0;
      await eventually(
        async () => {
          // At every moment of the restart, not only at its end.
          lapses += isDown(west) ? 0 : 1;
          looks++;
          const { clusters, rounds } = await health();
          const judged = clusters.filter(({ name }) => name === "west");
          return (
            rounds > 20 && judged.length === 2 && judged.every(({ state }) => state === "down")
          );
        },
        { limitMs: LIMIT_MS, pollMs: 50 },
      );
      mustSucceed(await up);
      expect(lapses).toBe(0);
      expect(isDown(west)).toBe(true);

      const healMs = performance.now();
      await healUnderlay(host.plan, never);
      const heldBack = new Set<number>();
      await eventually(
        () => {
          const state = maps.clusterState.get(west);
          if (state?.healthIpv4 !== ClusterHealth.healthy) return false;
          heldBack.add(state.heldBackPercentIpv4);
          return state.heldBackPercentIpv4 === 0;
        },
        { limitMs: LIMIT_MS, pollMs: 20 },
      );
      expect([...heldBack]).toEqual([90, 50, 0]);
      process.stderr.write(
        `cut to down in the datapath ${Math.round(downMs)} ms, looks during the restart ${looks}, ` +
          `healed to whole ${Math.round(performance.now() - healMs)} ms\n`,
      );
      await allHealthy();
    },
    LIMIT_MS,
  );
});

describe("agents of another cluster that are paused", () => {
  test(
    "are no failure: their kernels answer",
    async () => {
      const pids = await pidsOfAgents("west");
      expect(pids).toHaveLength(2);
      let lapses = 0;
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      try {
        const before = await health();
        const answered = ({ nodes }: AgentHealth): number =>
          nodes
            .filter(({ cluster }) => cluster === "west")
            .reduce((sum, node) => sum + node.answered, 0);
        // Several times what a failure needs to be found out.
        await eventually(
          async () => {
            lapses += isDown(west) ? 1 : 0;
            return answered(await health()) > answered(before) + 200;
          },
          { limitMs: LIMIT_MS, pollMs: 50 },
        );
      } finally {
        for (const pid of pids) process.kill(pid, "SIGCONT");
      }
      expect(lapses).toBe(0);
    },
    LIMIT_MS,
  );
});

describe("a node whose own uplink is cut", () => {
  test(
    "takes the others as the last resort, declares nobody down, and forgets it with the first answer",
    async () => {
      let lapses = 0;
      await cutUnderlay(host.plan, { where: "east/node1", direction: "both" }, never);
      await eventually(
        () => {
          const rows = [rowOf(west), rowOf(north)].flat();
          lapses += rows.includes(ClusterHealth.down) ? 1 : 0;
          return rows.every((family) => family === ClusterHealth.lastResort);
        },
        { limitMs: DOWN_LIMIT_MS },
      );
      expect(lapses).toBe(0);
      expect((await health()).isolated).toBe(true);
      const shown = await lab.mesh(["health", "--node", OBSERVER]);
      expect(shown.status).toBe(1);
      expect(shown.stdout).toContain("this node's own uplink counts as down");
      await healUnderlay(host.plan, never);
      await allHealthy();
      expect((await health()).isolated).toBe(false);
    },
    LIMIT_MS,
  );
});

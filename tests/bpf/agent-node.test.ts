// What an agent makes of a node besides forwarding: the runtime's configuration, a way out for
// pods; and that `remove-node` leaves nothing of all of it, and of pods, behind.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFileSync, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EAST,
  localService,
  ownClusterPuts,
  testNode,
  testService,
} from "../fakes/agent-cluster.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import { createAgentSite, type AgentSite } from "./agent-site.ts";
import { createScratch, type Scratch } from "./scratch.ts";

const LIMIT_MS = 120_000;
const OUTSIDE = ["192.0.2.9", "2001:db8::9"] as const;
/** Of Service `kubernetes`, whose API server is outside the mesh. */
const CLUSTER_IPS = ["10.96.0.1", "fd00:96::1"] as const;
const API_PORT = "https/7000";
const ANSWERS = `for (const host of ${JSON.stringify(OUTSIDE)})
  require("net").createServer((s) => s.end("HELLO " + s.remoteAddress)).listen(7000, host)`;

describe("the agent and its node", () => {
  let scratch: Scratch;
  let site: AgentSite;
  let directory: string;
  const cniPath = (name: string): string => join(directory, "cni", name);

  beforeAll(async () => {
    scratch = await createScratch();
    site = await createAgentSite();
    directory = await mkdtemp(join(tmpdir(), "tombolo-agent-node-"));
    await mkdir(join(directory, "cni"));
    await mkdir(join(directory, "opt"));
    // Outside the mesh: a host on a link of the node that knows no way to pods.
    site.addNamespace("outside");
    site.ip(
      "link",
      "add",
      "up0",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      site.full("outside"),
    );
    for (const [where, device, v4, v6] of [
      ["", "up0", "192.0.2.1/24", "2001:db8::1/64"],
      ["outside", "eth0", `${OUTSIDE[0]}/24`, `${OUTSIDE[1]}/64`],
    ] as const) {
      site.ipIn(where, "address", "add", v4, "dev", device);
      site.ipIn(where, "address", "add", v6, "dev", device, "nodad");
      site.ipIn(where, "link", "set", device, "up");
    }
    await site.writeConfig({
      bpfRoot: scratch.bpfRoot,
      cgroupPath: scratch.cgroupPath,
      stateDirectory: join(directory, "state"),
      socket: join(directory, "agent.sock"),
      healthListen: "127.0.0.1:9912",
      masquerade: true,
      cni: {
        configDirectory: join(directory, "cni"),
        binaryDirectory: join(directory, "cni"),
        hostRoot: join(directory, "opt"),
      },
    });
    site.write(
      ownClusterPuts({
        cluster: EAST,
        nodes: [
          testNode(EAST, {
            name: "east-1",
            addresses: ["192.0.2.1"],
            podPrefixes: ["10.1.1.0/24", "fd00:1:1::/64"],
          }),
        ],
        localServices: [
          localService(
            {
              ...testService(EAST, {
                name: "kubernetes",
                frontends: Object.fromEntries(CLUSTER_IPS.map((ip) => [ip, [API_PORT]])),
                backends: Object.fromEntries(OUTSIDE.map((ip) => [ip, [API_PORT]])),
              }),
              namespace: "default",
            },
            { global: false },
          ),
        ],
      }),
    );
  }, LIMIT_MS);
  afterAll(async () => {
    await site[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  }, LIMIT_MS);

  const plugin = (command: string, pod: string): SpawnSyncReturns<string> => {
    const [program, ...args] = site.inNamespace(join(ROOT, "agent/cni/tombolo-cni"), []).flat();
    return spawnSync(String(program), args, {
      encoding: "utf8",
      env: {
        PATH: process.env["PATH"],
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod,
        CNI_NETNS: `/run/netns/${site.full(pod)}`,
        CNI_IFNAME: "eth0",
      },
      input: JSON.stringify({
        cniVersion: "1.0.0",
        name: "tombolo",
        type: "tombolo-cni",
        stateDirectory: join(directory, "state"),
      }),
    });
  };
  /** From the pod, as a process whose calls are balanced. */
  const askInCgroup = (address: string): string => {
    const enter = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"';
    const ask = `require("net").connect(7000, "${address}").on("data", (d) => console.log(String(d)))`;
    const command = [process.execPath, "-e", ask];
    return site
      .run(site.full("pod"), "sh", "-c", enter, "sh", scratch.cgroupPath, ...command)
      .trim();
  };
  const expectWay = (from: string, address: string): Promise<true> =>
    eventually(() => site.reaches(from, address), { what: `${from} reaches ${address}` });

  test(
    "tells the runtime, lets pods out with the node's address, and removes everything",
    async () => {
      const agent = site.startAgent();
      await eventually(() => existsSync(cniPath("05-tombolo.conflist")), { limitMs: 60_000 });
      expect(JSON.parse(await readFile(cniPath("05-tombolo.conflist"), "utf8"))).toMatchObject({
        plugins: [{ type: "tombolo-cni", stateDirectory: join(directory, "state") }],
      });
      const nft = (): string => site.run(site.namespace, "nft", "list", "ruleset");
      await eventually(() => nft().includes("masquerade"));

      site.addNamespace("pod");
      expect(plugin("ADD", "pod").status).toBe(0);
      // The answers find their way: the questions came from the node's own address.
      for (const address of OUTSIDE) await expectWay(site.full("pod"), address);
      // The API server outside the mesh, by the ClusterIP of its Service.
      const server = site.start("nsenter", [
        `--net=/run/netns/${site.full("outside")}`,
        process.execPath,
        "-e",
        ANSWERS,
      ]);
      for (const [clusterIp, nodeAddress] of [
        [CLUSTER_IPS[0], "192.0.2.1"],
        [CLUSTER_IPS[1], "2001:db8::1"],
      ] as const) {
        const answer = await eventually(() => {
          const text = askInCgroup(clusterIp);
          return text.startsWith("HELLO") ? text : undefined;
        });
        expect(answer).toBe(`HELLO ${nodeAddress}`);
      }
      await site.stop(server, "SIGKILL");
      // The node reaches its pod, as the kubelet's probes do, and the pod its node.
      for (const address of ["10.1.1.2", "fd00:1:1::2"]) await expectWay(site.namespace, address);
      for (const address of ["192.0.2.1", "10.1.1.1", "2001:db8::1"])
        await expectWay(site.full("pod"), address);

      site.run(site.namespace, "nft", "flush", "ruleset");
      await eventually(() => nft().includes("masquerade"));
      expect(await site.stop(agent, "SIGTERM")).toBe(0);
      expect(existsSync(cniPath("05-tombolo.conflist"))).toBe(true);
      await expectWay(site.full("pod"), OUTSIDE[0]);

      await writeFile(cniPath("tombolo-cni"), "");
      await mkdir(join(directory, "opt", "1.0.0-old"));
      for (const _ of ["first", "again"]) {
        const removed = site.runAgent("remove-node");
        expect(removed).toMatchObject({ status: 0 });
      }
      expect(existsSync(cniPath("05-tombolo.conflist"))).toBe(false);
      expect(existsSync(cniPath("tombolo-cni"))).toBe(false);
      expect(existsSync(join(directory, "opt", "1.0.0-old"))).toBe(false);
      expect(existsSync(join(directory, "state"))).toBe(false);
      expect(existsSync(scratch.bpfRoot)).toBe(false);
      expect(nft()).toBe("");
      const links = execFileSync("ip", ["-n", site.namespace, "-br", "link"], { encoding: "utf8" });
      expect(links).not.toMatch(/tombolo|tbl/);
      for (const family of ["-4", "-6"]) expect(site.ip(family, "route")).not.toContain("proto 84");
    },
    LIMIT_MS,
  );

  test("remove-node names what it could not remove", async () => {
    await site.writeConfig({
      bpfRoot: scratch.bpfRoot,
      cgroupPath: scratch.cgroupPath,
      stateDirectory: "/proc/self/fdinfo",
      socket: join(directory, "agent.sock"),
    });
    const removed = site.runAgent("remove-node");
    expect(removed.status).toBe(1);
    expect(removed.stderr).toContain('Cannot remove Tombolo from node "east-1": state: ');
  });
});

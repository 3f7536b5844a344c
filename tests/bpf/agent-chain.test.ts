// Chaining: real plugins (ptp, host-local) make a pod's interface and give it its address, ours
// stands behind them and carries it to a pod of another node, through an agent's restart.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EAST,
  ownClusterPuts,
  peerClusterPuts,
  testEndpoint,
  testNode,
  WEST,
} from "../fakes/agent-cluster.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import { createAgentSite, type AgentSite } from "./agent-site.ts";
import type { OverlayNode } from "./overlay-node.ts";
import { createScratch, type Scratch } from "./scratch.ts";

const LIMIT_MS = 120_000;
/** Where Debian has them. */
const OTHERS_PLUGINS = "/usr/lib/cni";
const REMOTE_POD = "10.2.1.5";
const REMOTE_HOST_MAC = "02:00:00:00:02:01";
const REMOTE_POD_MAC = "02:00:00:00:02:02";

type Json = Record<string, unknown>;

describe("tombolo-cni behind ptp and host-local", () => {
  let scratch: Scratch;
  let site: AgentSite;
  let directory: string;
  let peerCgroup: string;
  const path = (...names: string[]): string => join(directory, ...names);

  beforeAll(async () => {
    scratch = await createScratch();
    site = await createAgentSite();
    directory = await mkdtemp(join(tmpdir(), "tombolo-chain-"));
    peerCgroup = join(scratch.cgroupPath, "peer");
    await mkdir(path("net.d"));
    await mkdir(peerCgroup);
    for (const name of ["peer", "peer-pod", "one", "two"]) site.addNamespace(name);
    addPeer();
    await writeFile(
      path("net.d", "10-ptp.conflist"),
      JSON.stringify({
        cniVersion: "1.0.0",
        name: "others",
        plugins: [
          {
            type: "ptp",
            mtu: 1500,
            ipam: {
              type: "host-local",
              dataDir: path("host-local"),
              ranges: [[{ subnet: "10.1.1.0/24" }]],
              routes: [{ dst: "0.0.0.0/0" }],
            },
          },
        ],
      }),
    );
    await site.writeConfig({
      bpfRoot: scratch.bpfRoot,
      cgroupPath: scratch.cgroupPath,
      stateDirectory: path("state"),
      socket: path("agent.sock"),
      cni: {
        mode: "chained",
        configDirectory: path("net.d"),
        binaryDirectory: path("bin"),
        hostRoot: path("opt"),
      },
    });
    const east = { name: "east-1", addresses: ["192.0.2.1"], podPrefixes: ["10.1.1.0/24"] };
    const west = { name: "west-1", addresses: ["192.0.2.2"], podPrefixes: ["10.2.1.0/24"] };
    site.write([
      ...ownClusterPuts({
        cluster: EAST,
        nodes: [testNode(EAST, east)],
        endpoints: [testEndpoint(EAST, { ip: "10.1.1.2", hostIp: "192.0.2.1" })],
      }),
      ...peerClusterPuts({ cluster: WEST, nodes: [testNode(WEST, west)] }),
    ]);
  }, LIMIT_MS);
  afterAll(async () => {
    await site[Symbol.asyncDispose]();
    await rmdir(peerCgroup);
    await scratch[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  }, LIMIT_MS);

  /** A node of another cluster with one pod, its datapath pinned beside ours. */
  function addPeer(): void {
    const batch = (name: string, lines: readonly string[]): void => {
      for (const line of lines) site.ipIn(name, ...line.split(" "));
    };
    batch("", [
      `link add up0 type veth peer name up0 netns ${site.full("peer")}`,
      "address add 192.0.2.1/24 dev up0",
      "link set up0 up",
    ]);
    batch("peer", [
      "address add 192.0.2.2/24 dev up0",
      "link set up0 up",
      "link add overlay type vxlan external dstport 8472 udp6zerocsumrx",
      "link set overlay arp off up",
      `link add veth address ${REMOTE_HOST_MAC} type veth peer name eth0 address ${REMOTE_POD_MAC} mtu 1450 netns ${site.full("peer-pod")}`,
      "link set veth up",
    ]);
    batch("peer-pod", [
      "link set eth0 up",
      `address add ${REMOTE_POD}/32 dev eth0`,
      "route add 169.254.1.1 dev eth0 scope link",
      "route add default via 169.254.1.1 dev eth0",
      `neighbour add 169.254.1.1 lladdr ${REMOTE_HOST_MAC} dev eth0`,
    ]);
    const node: OverlayNode = {
      bpfRoot: join(scratch.bpfRoot, "..", "peer"),
      cgroupPath: peerCgroup,
      objectDirectory: scratch.objectDirectory,
      overlayInterface: "overlay",
      pods: [
        {
          hostInterface: "veth",
          hostMac: REMOTE_HOST_MAC,
          podMac: REMOTE_POD_MAC,
          addresses: [REMOTE_POD],
        },
      ],
      ipcache: [
        { prefix: `${REMOTE_POD}/32`, identity: 5, tunnelEndpoint: "" },
        { prefix: "10.1.1.0/24", identity: 6, tunnelEndpoint: "192.0.2.1" },
        { prefix: "192.0.2.1/32", identity: 6, tunnelEndpoint: "" },
      ],
    };
    const script = join(ROOT, "tests/bpf/overlay-node.ts");
    const quiet = "--disable-warning=ExperimentalWarning";
    site.run(site.full("peer"), process.execPath, quiet, script, JSON.stringify(node));
  }

  const conflist = (): Json =>
    JSON.parse(readFileSync(path("net.d", "05-tombolo.conflist"), "utf8")) as Json;

  /** What a container runtime does with the first configuration of its directory. */
  function callChain(
    command: "ADD" | "CHECK" | "DEL",
    pod: string,
    added?: Json,
  ): Json | undefined {
    const { cniVersion, name, plugins } = conflist();
    const list = [...(plugins as Json[])];
    let result = added;
    for (const plugin of command === "DEL" ? list.reverse() : list) {
      const config = { ...plugin, cniVersion, name, prevResult: result };
      const answer = callPlugin(command, pod, config);
      if (command === "ADD") result = answer;
    }
    return result;
  }

  function callPlugin(command: string, pod: string, config: Json): Json | undefined {
    const type = String(config["type"]);
    const folder = type === "tombolo-cni" ? join(ROOT, "agent/cni") : OTHERS_PLUGINS;
    const [program, args] = site.inNamespace(join(folder, type), []);
    const { status, stdout } = spawnSync(program, args, {
      encoding: "utf8",
      input: JSON.stringify(config),
      env: {
        PATH: process.env["PATH"],
        CNI_PATH: OTHERS_PLUGINS,
        CNI_COMMAND: command,
        CNI_CONTAINERID: `container-${pod}`,
        CNI_NETNS: `/run/netns/${site.full(pod)}`,
        CNI_IFNAME: "eth0",
      },
    });
    if (status !== 0) throw new Error(`${type} ${command}: ${stdout}`);
    return stdout === "" ? undefined : (JSON.parse(stdout) as Json);
  }

  const hostInterface = (result: Json): string => {
    const interfaces = result["interfaces"] as { name: string; sandbox?: string }[];
    return interfaces.find(({ sandbox }) => (sandbox ?? "") === "")?.name ?? "";
  };
  const hasProgram = (device: string): boolean =>
    site.run(site.namespace, "tc", "filter", "show", "dev", device, "ingress").includes("from_pod");
  const expectWay = (from: string, address: string): Promise<true> =>
    eventually(() => site.reaches(site.full(from), address), {
      what: `${from} reaches ${address}`,
    });
  const book = (): string[] => {
    const [boot = ""] = readdirSync(path("state", "address-book"));
    const root = path("state", "address-book", boot);
    return readdirSync(root).filter((address) => readdirSync(join(root, address)).length > 0);
  };

  test(
    "carries pods of another plugin through the overlay, and takes back what is ours",
    async () => {
      let agent = site.startAgent();
      await eventually(() => existsSync(path("net.d", "05-tombolo.conflist")), {
        limitMs: 60_000,
      });
      expect(conflist()).toMatchObject({
        name: "others",
        plugins: [{ type: "ptp" }, { type: "tombolo-cni", chained: true }],
      });
      // The routes of our prefix are the other plugin's.
      expect(site.ip("-4", "route")).not.toContain("unreachable");

      const one = callChain("ADD", "one") ?? {};
      const two = callChain("ADD", "two") ?? {};
      expect(one).toMatchObject({ cniVersion: "1.0.0", ips: [{ address: "10.1.1.2/24" }] });
      expect(book()).toEqual(["10.1.1.2", "10.1.1.3"]);
      for (const device of [hostInterface(one), hostInterface(two)]) {
        expect(hasProgram(device)).toBe(true);
        expect(site.ip("link", "show", device)).toContain("mtu 1450");
      }
      await eventually(() => site.ip("-4", "route").includes("10.2.1.0/24 dev tombolo_vxlan"));
      await expectWay("one", REMOTE_POD);
      await expectWay("peer-pod", "10.1.1.2");
      await expectWay("one", "10.1.1.3");
      await expectWay("one", "192.0.2.1");
      await expectWay("", "10.1.1.3");
      callChain("CHECK", "one", one);

      // An agent that starts finds the pods by their records.
      await site.stop(agent, "SIGKILL");
      site.run(site.namespace, "tc", "filter", "del", "dev", hostInterface(one), "ingress");
      expect(() => callChain("CHECK", "one", one)).toThrow("has lost its program");
      agent = site.startAgent();
      await eventually(() => hasProgram(hostInterface(one)), { limitMs: 60_000 });
      await expectWay("one", REMOTE_POD);

      callChain("DEL", "one", one);
      callChain("DEL", "one", one);
      expect(book()).toEqual(["10.1.1.3"]);
      const remove = callPlugin("GC", "two", {
        ...(conflist()["plugins"] as Json[])[1],
        cniVersion: "1.1.0",
        name: "others",
        "cni.dev/valid-attachments": [],
      });
      expect(remove).toBeUndefined();
      expect(book()).toEqual([]);
      // The interface is the other's: it stays, without our program.
      expect(hasProgram(hostInterface(two))).toBe(false);
      await expectWay("two", "192.0.2.1");
      callChain("DEL", "two", two);
      expect(await site.stop(agent, "SIGTERM")).toBe(0);
      expect(site.runAgent("remove-node").status).toBe(0);
      expect(readdirSync(path("net.d"))).toEqual(["10-ptp.conflist"]);
    },
    LIMIT_MS,
  );

  test("refuses an interface that has no other end on the node", async () => {
    execFileSync("ip", ["-n", site.full("one"), "link", "add", "eth0", "type", "bridge"]);
    await mkdir(path("state"), { recursive: true });
    await writeFile(
      path("state", "cni-node.json"),
      JSON.stringify({
        nodeName: "east-1",
        podPrefixes: [],
        routerAddresses: [],
        mtu: 1450,
        bpfRoot: scratch.bpfRoot,
      }),
    );
    const config = {
      cniVersion: "1.0.0",
      name: "n",
      type: "tombolo-cni",
      stateDirectory: path("state"),
    };
    const chained = { ...config, chained: true };
    expect(() => callPlugin("ADD", "one", { ...chained, prevResult: {} })).toThrow(
      "is no veth pair",
    );
    expect(() => callPlugin("ADD", "one", chained)).toThrow('\\"prevResult\\" is missing');
    expect(() => callPlugin("ADD", "one", config)).toThrow("has no pod prefix of ours");
  });
});

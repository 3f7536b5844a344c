import { describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAgentConfig, readAgentConfig } from "../../../agent/config.ts";

const CONFIG = {
  clusterName: "east",
  clusterId: 1,
  maxConnectedClusters: 255,
  nodeName: "east-1.example",
  etcdEndpoints: ["https://10.0.0.1:2379"],
  tls: { caFile: "/pki/ca.crt", certFile: "/pki/local.crt", keyFile: "/pki/local.key" },
  bpfRoot: "/sys/fs/bpf/tombolo",
  cgroupPath: "/sys/fs/cgroup",
  stateDirectory: "/var/lib/tombolo",
  socket: "/run/tombolo/agent.sock",
};

const parse = (change: object) =>
  parseAgentConfig(JSON.stringify({ ...CONFIG, ...change }), "a.json");

describe("parseAgentConfig()", () => {
  test("reads everything, with the overlay's defaults", () => {
    expect(parse({})).toEqual({
      cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
      nodeName: "east-1.example",
      etcd: { kind: "fixed", endpoints: ["https://10.0.0.1:2379"], tls: CONFIG.tls },
      bpfRoot: "/sys/fs/bpf/tombolo",
      cgroup: { kind: "path", path: "/sys/fs/cgroup" },
      stateDirectory: "/var/lib/tombolo",
      socket: "/run/tombolo/agent.sock",
      overlay: { device: "tombolo_vxlan", port: 8472, underlayMtu: 1500 },
      procSysNet: "/proc/sys/net",
      masquerade: false,
      health: { enabled: true, intervalMs: 100, nodesPerCluster: 3, holdDownMaxMs: 60_000 },
      policy: { enforcement: "default" },
      cni: undefined,
      healthListen: undefined,
      metricsListen: undefined,
      operations: undefined,
    });
  });

  test("takes how health is found out, and refuses what would not work", () => {
    const health = { enabled: false, intervalMs: 200 };
    const defaults = { nodesPerCluster: 3, holdDownMaxMs: 60_000 };
    expect(parse({ health }).health).toEqual({ ...health, ...defaults });
    expect(() => parse({ health: { intervalMs: 1 } })).toThrow(
      'Cannot use "health.intervalMs" of agent configuration "a.json": want a whole number',
    );
  });

  test("takes whether policies are enforced", () => {
    expect(parse({ policy: { enforcement: "never" } }).policy.enforcement).toBe("never");
    expect(() => parse({ policy: { enforcement: "always" } })).toThrow(
      'Cannot use "policy.enforcement" of agent configuration "a.json": want "default" or "never"',
    );
  });

  test("takes an overlay and addresses to listen on", () => {
    const overlay = { device: "vx0", port: 4789, underlayMtu: 9000 };
    expect(
      parse({ overlay, healthListen: "127.0.0.1:9879", metricsListen: "[::1]:9964" }),
    ).toMatchObject({ overlay, healthListen: "127.0.0.1:9879", metricsListen: "[::1]:9964" });
  });

  const KUBERNETES = { kubernetes: { kubeconfig: "in-cluster", namespace: "tombolo-system" } };
  const CNI = {
    configDirectory: "/host/etc/cni/net.d",
    binaryDirectory: "/host/opt/cni/bin",
    hostRoot: "/host/opt/tombolo",
    hostRootOnHost: "/opt/tombolo",
  };

  test("takes a Kubernetes API in place of etcd, and the node's name from the environment", () => {
    const { etcdEndpoints: _, tls: __, nodeName: ___, cgroupPath: ____, ...rest } = CONFIG;
    const text = JSON.stringify({ ...rest, ...KUBERNETES, cni: CNI, cgroupRoot: "/host/cgroup" });
    expect(parseAgentConfig(text, "a.json", { nodeName: "east-7" })).toMatchObject({
      nodeName: "east-7",
      etcd: {
        kind: "kubernetes",
        kubeconfig: "in-cluster",
        context: undefined,
        namespace: "tombolo-system",
      },
      cgroup: { kind: "root", path: "/host/cgroup" },
      masquerade: true,
      cni: { ...CNI, mode: "network", chainAfter: undefined },
    });
    expect(() => parseAgentConfig(text, "a.json")).toThrow("want the node's name in Kubernetes");
  });

  test("masquerades no pods that another plugin gives addresses, unless it is told to", () => {
    const chained = {
      ...KUBERNETES,
      cni: { ...CNI, mode: "chained", chainAfter: "10-aws.conflist" },
    };
    expect(parse(chained).masquerade).toBe(false);
    expect(parse({ ...chained, masquerade: true }).masquerade).toBe(true);
    expect(parse(KUBERNETES).masquerade).toBe(false);
  });

  const refused: readonly [object, string][] = [
    [{ clusterName: "East" }, 'Cannot use "East" as cluster name'],
    [{ clusterId: 256 }, "Cannot use 256 as cluster id"],
    [{ maxConnectedClusters: 100 }, "Cannot use 100 as maxConnectedClusters"],
    [{ nodeName: "" }, `"nodeName" of agent configuration "a.json": want the node's name`],
    [{ etcdEndpoints: [] }, '"etcdEndpoints" of agent configuration "a.json": want a list'],
    [{ etcdEndpoints: ["http://10.0.0.1:2379"] }, '"etcdEndpoints"'],
    [{ tls: undefined }, 'Cannot use "tls" of agent configuration "a.json": want a JSON object'],
    [{ tls: { ...CONFIG.tls, keyFile: "key" } }, '"tls.keyFile" of agent configuration "a.json"'],
    [{ bpfRoot: "bpf" }, '"bpfRoot" of agent configuration "a.json": want an absolute path'],
    [{ cgroupPath: 7 }, '"cgroupPath"'],
    [{ cgroupRoot: "cgroup" }, '"cgroupRoot"'],
    [{ procSysNet: "net" }, '"procSysNet"'],
    [{ masquerade: 1 }, '"masquerade" of agent configuration "a.json": want true or false'],
    [{ kubernetes: { namespace: "x" } }, '"kubernetes.kubeconfig"'],
    [{ kubernetes: { ...KUBERNETES.kubernetes, namespace: "a/b" } }, '"kubernetes.namespace"'],
    [{ cni: { ...CNI, mode: "bridge" } }, "want one of network, chained, none"],
    [{ cni: { ...CNI, chainAfter: "../x.conf" } }, '"cni.chainAfter"'],
    [{ stateDirectory: null }, '"stateDirectory"'],
    [{ socket: "agent.sock" }, '"socket"'],
    [{ overlay: [] }, '"overlay" of agent configuration "a.json": want a JSON object'],
    [{ overlay: { device: "a-very-long-name" } }, '"overlay.device"'],
    [{ overlay: { port: 0 } }, '"overlay.port" of agent configuration "a.json": want a whole'],
    [{ overlay: { underlayMtu: 1280 } }, "want a whole number from 1350 to 65535"],
    [
      { healthListen: "9879" },
      '"healthListen" of agent configuration "a.json": want "ADDRESS:PORT"',
    ],
  ];
  for (const [change, message] of refused) {
    test(`refuses ${JSON.stringify(change)}`, () => {
      expect(() => parse(change)).toThrow(message);
    });
  }

  test("refuses what is no JSON, or no object", () => {
    expect(() => parseAgentConfig("{", "a.json")).toThrow('"a.json" as JSON');
    expect(() => parseAgentConfig("[]", "a.json")).toThrow("want a JSON object");
  });
});

describe("readAgentConfig()", () => {
  test("names the file that is missing", async () => {
    await expect(readAgentConfig("/nowhere/a.json")).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot read agent configuration "/nowhere/a.json"',
    });
  });

  test("reads the file", async () => {
    const directory = await mkdtemp(join(tmpdir(), "tombolo-config-"));
    const path = join(directory, "a.json");
    await writeFile(path, JSON.stringify(CONFIG));
    expect((await readAgentConfig(path)).nodeName).toBe("east-1.example");
    await rm(directory, { recursive: true });
  });
});

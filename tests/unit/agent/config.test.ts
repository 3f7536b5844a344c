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
      etcdEndpoints: ["https://10.0.0.1:2379"],
      tls: CONFIG.tls,
      bpfRoot: "/sys/fs/bpf/tombolo",
      cgroupPath: "/sys/fs/cgroup",
      stateDirectory: "/var/lib/tombolo",
      socket: "/run/tombolo/agent.sock",
      overlay: { device: "tombolo_vxlan", port: 8472, underlayMtu: 1500 },
      healthListen: undefined,
      metricsListen: undefined,
    });
  });

  test("takes an overlay and addresses to listen on", () => {
    const overlay = { device: "vx0", port: 4789, underlayMtu: 9000 };
    expect(
      parse({ overlay, healthListen: "127.0.0.1:9879", metricsListen: "[::1]:9964" }),
    ).toMatchObject({ overlay, healthListen: "127.0.0.1:9879", metricsListen: "[::1]:9964" });
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

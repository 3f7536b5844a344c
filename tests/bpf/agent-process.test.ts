// The agent as a process, in a network namespace, on a real etcd with TLS and on kernel maps: what
// it sets up, and that killing it changes nothing.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAgentClient } from "../../mesh/api/agent-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { StoreOperation } from "../../mesh/kvstore/store.ts";
import { openDatapathMaps, type DatapathMaps } from "../../bpf/datapath.ts";
import { initialisePki } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import {
  EAST,
  localService,
  ownClusterPuts,
  peerClusterPuts,
  testEndpoint,
  testNode,
  testService,
  WEST,
} from "../fakes/agent-cluster.ts";
import { readFrontends, readIpcache } from "../fakes/agent-node.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import type { AgentWriterTarget } from "./agent-writer.ts";
import { createScratch, type Scratch } from "./scratch.ts";

/** Nobody else is in the namespace. */
const ETCD_ENDPOINT = "https://127.0.0.1:2379";
const LIMIT_MS = 120_000;

const OWN = ownClusterPuts({
  cluster: EAST,
  nodes: [
    testNode(EAST, {
      name: "east-1",
      addresses: ["172.16.1.1"],
      podPrefixes: ["10.1.1.0/24", "fd00:1:1::/64"],
    }),
  ],
  endpoints: [testEndpoint(EAST, { ip: "10.1.1.5", hostIp: "172.16.1.1" })],
  localServices: [
    localService(
      testService(EAST, {
        frontends: { "10.96.0.1": ["http/80"] },
        backends: { "10.1.1.5": ["http/8080"] },
      }),
      { affinity: "local" },
    ),
  ],
});
const PEER = peerClusterPuts({
  cluster: WEST,
  nodes: [
    testNode(WEST, {
      name: "west-1",
      addresses: ["172.16.2.1"],
      podPrefixes: ["10.2.1.0/24", "fd00:2:1::/64"],
    }),
  ],
  services: [testService(WEST, { backends: { "10.2.1.5": ["http/9090"] } })],
});
const FRONTENDS = { "10.96.0.1:80/TCP": ["0/1 1: 10.1.1.5:8080", "1/1 2: 10.2.1.5:9090"] };

describe("agent/main.ts", () => {
  let scratch: Scratch;
  let directory: string;
  let namespace: string;
  let writer: AgentWriterTarget;
  const children: ChildProcess[] = [];

  const inNamespace = (command: string, args: readonly string[]): [string, string[]] => [
    "nsenter",
    [`--net=/run/netns/${namespace}`, command, ...args],
  ];
  const start = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(...inNamespace(command, args), { stdio: "ignore" });
    children.push(child);
    return child;
  };
  const startAgent = (): ChildProcess =>
    start(process.execPath, [join(ROOT, "agent/main.ts"), "--config", join(directory, "a.json")]);
  const ip = (...args: string[]): string =>
    execFileSync(...inNamespace("ip", args), { encoding: "utf8" });
  const write = (operations: readonly StoreOperation[]): void => {
    const script = join(ROOT, "tests/bpf/agent-writer.ts");
    const values = operations.map((operation) =>
      operation.kind === "put"
        ? { ...operation, value: operation.value.toString("base64") }
        : operation,
    );
    execFileSync(...inNamespace(process.execPath, [script, JSON.stringify(writer)]), {
      input: JSON.stringify(values),
      stdio: ["pipe", "ignore", "pipe"],
    });
  };
  const stop = async (child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      child.kill(signal);
      await exit;
    }
    return child.exitCode;
  };
  const openMaps = (): DatapathMaps => openDatapathMaps(scratch.bpfRoot);

  beforeAll(async () => {
    scratch = await createScratch();
    directory = await mkdtemp(join(tmpdir(), "tombolo-agent-"));
    namespace = `tbl-${directory.slice(-6)}`;
    execFileSync("ip", ["netns", "add", namespace]);
    ip("link", "set", "lo", "up");
    const pki = await initialisePki(join(directory, "pki"), {
      cluster: "east",
      nowMs: Date.now(),
    });
    writer = {
      endpoint: ETCD_ENDPOINT,
      tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
      serverName: meshServerName("east"),
    };
    start("etcd", [
      `--data-dir=${join(directory, "etcd")}`,
      `--listen-client-urls=${ETCD_ENDPOINT}`,
      `--advertise-client-urls=${ETCD_ENDPOINT}`,
      `--cert-file=${pki.serverCertificate}`,
      `--key-file=${pki.serverKey}`,
      `--trusted-ca-file=${pki.caBundle}`,
      "--client-cert-auth",
      "--log-level=error",
    ]);
    await writeFile(
      join(directory, "a.json"),
      JSON.stringify({
        clusterName: "east",
        clusterId: 1,
        maxConnectedClusters: 255,
        nodeName: "east-1",
        etcdEndpoints: [ETCD_ENDPOINT],
        tls: { caFile: pki.caBundle, certFile: pki.localCertificate, keyFile: pki.localKey },
        bpfRoot: scratch.bpfRoot,
        cgroupPath: scratch.cgroupPath,
        stateDirectory: join(directory, "state"),
        socket: join(directory, "agent.sock"),
        healthListen: "127.0.0.1:9911",
      }),
    );
    write([...OWN, ...PEER]);
  }, LIMIT_MS);
  afterAll(async () => {
    for (const child of children.reverse()) await stop(child, "SIGKILL");
    execFileSync("ip", ["netns", "delete", namespace]);
    await scratch[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  }, LIMIT_MS);

  test(
    "sets up the node, fills the maps, answers, and is adopted after a kill",
    async () => {
      const first = startAgent();
      const filled = async (): Promise<boolean> => {
        using maps = openMaps();
        return JSON.stringify(readFrontends(maps)) === JSON.stringify(FRONTENDS);
      };
      await eventually(filled, { limitMs: 60_000, what: "the service maps are filled" });
      await eventually(() => existsSync(join(directory, "state", "cni-node.json")));
      const cniNode: unknown = JSON.parse(
        readFileSync(join(directory, "state", "cni-node.json"), "utf8"),
      );
      expect(cniNode).toEqual({
        nodeName: "east-1",
        podPrefixes: ["10.1.1.0/24", "fd00:1:1::/64"],
        routerAddresses: ["10.1.1.1", "fd00:1:1::1"],
        mtu: 1450,
        bpfRoot: scratch.bpfRoot,
      });
      await eventually(() => ip("-4", "route", "show").includes("10.2.1.0/24 dev tombolo_vxlan"));
      await eventually(() => ip("-6", "route", "show").includes("fd00:2:1::/64 dev tombolo_vxlan"));
      expect(ip("-4", "route", "show")).toContain("unreachable 10.1.1.0/24");

      const client = createAgentClient({
        socket: join(directory, "agent.sock"),
        clock: systemClock,
      });
      const never = new AbortController().signal;
      const status = await eventually(
        async () => {
          const answer = await client.getStatus({}, never);
          return answer.ready ? answer : undefined;
        },
        { limitMs: 60_000, what: "the agent is ready" },
      );
      expect(status.clusters.map(({ name, own, usable }) => [name, own, usable])).toEqual([
        ["east", true, true],
        ["west", false, true],
      ]);
      const { service } = await client.getService({ namespace: "shop", name: "cart" }, never);
      expect(service.frontends[0]?.groups.map(({ cluster, inUse }) => [cluster, inUse])).toEqual([
        ["east", true],
        ["west", false],
      ]);
      client.close();

      const rows = (): string => {
        using maps = openMaps();
        const all = [...maps.services.entries(), ...maps.backendSlots.entries()];
        return JSON.stringify([all, readIpcache(maps)].map(String).sort());
      };
      const before = rows();
      await stop(first, "SIGKILL");
      expect(rows()).toBe(before);

      const second = startAgent();
      await eventually(
        async () => {
          const again = createAgentClient({
            socket: join(directory, "agent.sock"),
            clock: systemClock,
          });
          try {
            return (await again.getStatus({}, never)).ready;
          } finally {
            again.close();
          }
        },
        { limitMs: 60_000, what: "the second agent is ready" },
      );
      expect(rows()).toBe(before);
      expect(await stop(second, "SIGTERM")).toBe(0);
      expect(rows()).toBe(before);
    },
    LIMIT_MS,
  );
});

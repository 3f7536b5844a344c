// Where tests run agents as processes: a network namespace with an etcd with TLS in it, more
// namespaces as pods and hosts around it, a configuration; all of it removed at the end.
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoreOperation } from "../../mesh/kvstore/store.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { initialisePki, type PkiPaths } from "../../pki/files.ts";
import { ROOT } from "../sources.ts";
import type { AgentWriterTarget } from "./agent-writer.ts";

/** What the DaemonSet gives its container; no test here gives an agent more. */
export const AGENT_CAPABILITIES = ["bpf", "net_admin", "net_raw", "perfmon", "sys_admin"];
/** Nobody else is in the namespace. */
export const SITE_ETCD = "https://127.0.0.1:2379";

export interface AgentSite extends AsyncDisposable {
  readonly namespace: string;
  readonly pki: PkiPaths;
  /** The full name of a further namespace; the node's own for "". */
  full(name: string): string;
  addNamespace(name: string): void;
  inNamespace(command: string, args: readonly string[]): [string, string[]];
  /** Runs a program in a namespace, given by its full name. */
  run(namespace: string, command: string, ...args: string[]): string;
  /** Whether a TCP connection to a closed port is refused: it travelled there and back. */
  reaches(namespace: string, address: string): boolean;
  ip(...args: string[]): string;
  ipIn(name: string, ...args: string[]): string;
  /** Writes the agent's configuration: these fields, and what names cluster, node and etcd. */
  writeConfig(fields: object): Promise<void>;
  write(operations: readonly StoreOperation[]): void;
  start(command: string, args: readonly string[], env?: Record<string, string>): ChildProcess;
  startAgent(env?: Record<string, string>): ChildProcess;
  /** A command of the agent's program, to its end. */
  runAgent(...words: string[]): SpawnSyncReturns<string>;
  stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null>;
}

export async function createAgentSite(): Promise<AgentSite> {
  const directory = await mkdtemp(join(tmpdir(), "tombolo-site-"));
  const namespace = `tbs-${directory.slice(-6)}`;
  const namespaces: string[] = [];
  const children: ChildProcess[] = [];
  const config = join(directory, "a.json");
  const full = (name: string): string => (name === "" ? namespace : `${namespace}-${name}`);
  const inNamespace = (command: string, args: readonly string[]): [string, string[]] => [
    "nsenter",
    [`--net=/run/netns/${namespace}`, command, ...args],
  ];
  const run = (where: string, command: string, ...args: string[]): string =>
    execFileSync("nsenter", [`--net=/run/netns/${where}`, command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  const addNamespace = (name: string): void => {
    execFileSync("ip", ["netns", "add", full(name)]);
    namespaces.push(full(name));
    run(full(name), "ip", "link", "set", "lo", "up");
  };
  const start: AgentSite["start"] = (command, args, env = {}) => {
    const child = spawn(...inNamespace(command, args), {
      stdio: ["ignore", "ignore", process.env["TOMBOLO_TEST_LOG"] === undefined ? "ignore" : 2],
      env: { ...process.env, ...env },
    });
    children.push(child);
    return child;
  };
  const stop: AgentSite["stop"] = async (child, signal) => {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      child.kill(signal);
      await exit;
    }
    return child.exitCode;
  };

  addNamespace("");
  const pki = await initialisePki(join(directory, "pki"), { cluster: "east", nowMs: Date.now() });
  const writer: AgentWriterTarget = {
    endpoint: SITE_ETCD,
    tls: { caFile: pki.caBundle, certFile: pki.adminCertificate, keyFile: pki.adminKey },
    serverName: meshServerName("east"),
  };
  start("etcd", [
    `--data-dir=${join(directory, "etcd")}`,
    `--listen-client-urls=${SITE_ETCD}`,
    `--advertise-client-urls=${SITE_ETCD}`,
    `--cert-file=${pki.serverCertificate}`,
    `--key-file=${pki.serverKey}`,
    `--trusted-ca-file=${pki.caBundle}`,
    "--client-cert-auth",
    "--log-level=error",
  ]);
  const agentArgs = (words: readonly string[]): string[] => [
    `--bounding-set=${["-all", ...AGENT_CAPABILITIES].join(",+")}`,
    "--no-new-privs",
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(ROOT, "agent/main.ts"),
    ...words,
    "--config",
    config,
  ];

  return {
    namespace,
    pki,
    full,
    addNamespace,
    inNamespace,
    run,
    start,
    stop,
    reaches(where, address) {
      const script = `require("net").connect({host:"${address}",port:9,timeout:2000})
        .on("error",(e)=>console.log(e.code)).on("timeout",()=>process.exit())`;
      return run(where, process.execPath, "-e", script).trim() === "ECONNREFUSED";
    },
    ip: (...args) => run(namespace, "ip", ...args),
    ipIn: (name, ...args) => run(full(name), "ip", ...args),
    writeConfig: (fields) =>
      writeFile(
        config,
        JSON.stringify({
          clusterName: "east",
          clusterId: 1,
          maxConnectedClusters: 255,
          nodeName: "east-1",
          etcdEndpoints: [SITE_ETCD],
          tls: { caFile: pki.caBundle, certFile: pki.localCertificate, keyFile: pki.localKey },
          ...fields,
        }),
      ),
    write(operations) {
      const values = operations.map((operation) =>
        operation.kind === "put"
          ? { ...operation, value: operation.value.toString("base64") }
          : operation,
      );
      const script = join(ROOT, "tests/bpf/agent-writer.ts");
      execFileSync(...inNamespace(process.execPath, [script, JSON.stringify(writer)]), {
        input: JSON.stringify(values),
        stdio: ["pipe", "ignore", "pipe"],
      });
    },
    startAgent: (env) => start("setpriv", agentArgs([]), env),
    runAgent: (...words) => {
      const [command, args] = inNamespace("setpriv", agentArgs(words));
      return spawnSync(command, args, { encoding: "utf8" });
    },
    async [Symbol.asyncDispose]() {
      for (const child of children.reverse()) await stop(child, "SIGKILL");
      for (const name of namespaces.reverse()) execFileSync("ip", ["netns", "delete", name]);
      await rm(directory, { recursive: true });
    },
  };
}

// A real kube-controller-manager for tests: it makes pods of Deployments and DaemonSets, and
// empties namespaces that are deleted. Not a fake; it stands here because tests stand on it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN_TOKEN } from "./kubernetes.ts";

export interface TestControllerManager {
  /** A kubeconfig that Go programs understand: kubectl too. */
  readonly kubeconfig: string;
  close(): Promise<void>;
}

/** What the tests need; no controller that looks after nodes, since there are no kubelets. */
const CONTROLLERS = [
  "namespace",
  "garbagecollector",
  "deployment",
  "replicaset",
  "daemonset",
  "endpointslice",
];

export async function startControllerManager(apiPort: number): Promise<TestControllerManager> {
  const binary = join(process.env["KUBEBUILDER_ASSETS"] ?? "", "kube-controller-manager");
  const directory = await mkdtemp(join(tmpdir(), "tombolo-kcm-"));
  const kubeconfig = join(directory, "kubeconfig");
  await writeFile(kubeconfig, goKubeconfig(apiPort));
  const flags = [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${CONTROLLERS.join(",")}`,
    "--leader-elect=false",
    "--port=0",
    "--secure-port=0",
    // A test does not wait five minutes for what a real cluster has time for.
    "--namespace-sync-period=5s",
  ];
  const child = spawn(binary, flags, { stdio: "ignore" });
  return {
    kubeconfig,
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function goKubeconfig(port: number): string {
  const cluster = { server: `https://127.0.0.1:${port}`, "insecure-skip-tls-verify": true };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "admin", user: { token: ADMIN_TOKEN } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  });
}

// `mesh install`, `upgrade` and `uninstall` against a real API server and controllers. Nobody runs
// the pods: a pod keeper says that they are ready, or why not.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Command } from "../../mesh/commands/command.ts";
import { installCommand } from "../../mesh/commands/install.ts";
import { uninstallCommand } from "../../mesh/commands/uninstall.ts";
import { upgradeCommand } from "../../mesh/commands/upgrade.ts";
import { createTestContext } from "../fakes/command-context.ts";
import { startControllerManager, type TestControllerManager } from "../fakes/controller-manager.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { startPodKeeper, type PodKeeper } from "../fakes/pod-keeper.ts";
import { ROOT } from "../sources.ts";

const LIMIT_MS = 300_000;
const NAMESPACE = "tombolo-system";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;
const NAME = ["--cluster-name", "east", "--cluster-id", "1"];
const run = promisify(execFile);
/** What a test waits when it does not mean to wait in vain. */
const PATIENCE = ["--timeout", "90"];

let kubernetes: TestKubernetes;
let controllers: TestControllerManager;
let keeper: PodKeeper;
let kubeconfig: string;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-install-"));
  kubernetes = await startTestKubernetes();
  controllers = await startControllerManager(kubernetes.port);
  kubeconfig = (await kubernetes.writeKubeconfig()).path;
  keeper = startPodKeeper(kubernetes, { namespace: NAMESPACE, defaultNode: "node1" });
  for (const name of ["node1", "node2"]) await addNode(name);
}, LIMIT_MS);

afterAll(async () => {
  await keeper?.close();
  await controllers?.close();
  await kubernetes?.close();
  await rm(directory, { recursive: true, force: true });
}, LIMIT_MS);

async function addNode(name: string): Promise<void> {
  const labels = { "kubernetes.io/os": "linux" };
  const podCIDR = `10.1.${name.slice(-1)}.0/24`;
  const spec = { podCIDR, podCIDRs: [podCIDR] };
  const body = { metadata: { name, labels }, spec };
  await kubernetes.call({ method: "POST", path: "/api/v1/nodes", body });
  const status = { conditions: [{ type: "Ready", status: "True" }] };
  const path = `/api/v1/nodes/${name}/status`;
  await kubernetes.call({ method: "PATCH", path, body: { status } });
}

async function mesh(
  command: Command,
  args: readonly string[],
): Promise<{ out: string; err: string }> {
  const context = createTestContext(directory);
  expect(await command.run([...PATIENCE, ...args, "--kubeconfig", kubeconfig], context)).toBe(0);
  return { out: context.out(), err: context.err() };
}

async function refusal(command: Command, args: readonly string[]): Promise<string> {
  const context = createTestContext(directory);
  const error = await command
    .run(["--timeout", "5", ...args, "--kubeconfig", kubeconfig], context)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  return error instanceof Error ? error.message : "it was not refused";
}

/** "KIND NAMESPACE/NAME" of every object of every kind that the server has, but for events. */
async function everyObject(): Promise<string[]> {
  const kubectl = ["--kubeconfig", controllers.kubeconfig];
  const verbs = ["api-resources", "--verbs=list", "-o", "name"];
  const { stdout } = await run("kubectl", [...kubectl, ...verbs]);
  const kinds = stdout.split("\n").filter((kind) => kind !== "" && !kind.startsWith("events"));
  const get = ["get", kinds.join(","), "--all-namespaces", "--ignore-not-found", "-o", "name"];
  return (await run("kubectl", [...kubectl, ...get])).stdout.split("\n").filter(Boolean).sort();
}

function dryRun(file: string): Promise<unknown> {
  const flags = ["--kubeconfig", controllers.kubeconfig, "apply", "--dry-run=server", "-f", file];
  return run("kubectl", flags);
}

describe("manifests under deploy/", () => {
  test(
    "are accepted by the API server, each, and as kustomize puts them together",
    async () => {
      const folder = join(ROOT, "deploy/kubernetes");
      const body = { metadata: { name: NAMESPACE } };
      await kubernetes.call({ method: "POST", path: "/api/v1/namespaces", body });
      const names = await readdir(folder);
      for (const name of names.filter((file) => file !== "kustomization.yaml")) {
        await dryRun(join(folder, name));
      }
      const whole = join(directory, "whole.yaml");
      await writeFile(whole, (await run("kubectl", ["kustomize", folder])).stdout);
      await dryRun(whole);
      expect(names).toContain("agent.yaml");
    },
    LIMIT_MS,
  );
});

describe("mesh install", () => {
  let before: string[];

  test(
    "refuses a namespace that is going, in words; uninstall waits until it is gone",
    async () => {
      const namespace = `/api/v1/namespaces/${NAMESPACE}`;
      // What has a finalizer keeps its namespace until somebody takes the finalizer away.
      const held = { name: "held", finalizers: ["tombolo.io/test"] };
      const body = { metadata: held };
      await kubernetes.call({ method: "POST", path: `${namespace}/configmaps`, body });
      await kubernetes.call({ method: "DELETE", path: namespace });
      expect(await refusal(installCommand, NAME)).toContain("it is being deleted");
      expect(await refusal(uninstallCommand, [])).not.toBe("it was not refused");
      const free = { metadata: { finalizers: [] } };
      await kubernetes.call({ method: "PATCH", path: `${namespace}/configmaps/held`, body: free });
      await mesh(uninstallCommand, []);
      before = await everyObject();
      expect(before).not.toContain(`namespace/${NAMESPACE}`);
    },
    LIMIT_MS,
  );

  test(
    "names what holds it up when it has waited long enough, and is repaired by running again",
    async () => {
      const waiting = { reason: "ImagePullBackOff", message: "no such image" };
      keeper.setStatus("tombolo-agent", {
        phase: "Pending",
        conditions: [{ type: "Ready", status: "False" }],
        containerStatuses: [{ name: "agent", ready: false, state: { waiting } }],
      });
      const said = await refusal(installCommand, [...NAME, "--timeout", "5"]);
      expect(said).toMatch(
        /^Cannot wait for tombolo-agent any longer than 5 s: pod tombolo-agent-/,
      );
      expect(said).toContain("on node node1: container agent waits: ImagePullBackOff");
      keeper.setStatus("tombolo-agent", undefined);
      const { out } = await mesh(installCommand, NAME);
      expect(out).toContain("Installed: cluster east (id 1)");
    },
    LIMIT_MS,
  );

  test(
    "changes nothing when it is run again",
    async () => {
      const { out } = await mesh(installCommand, [...NAME, "-o", "json"]);
      const { changes } = JSON.parse(out) as { changes: { object: string; outcome: string }[] };
      expect(changes.filter(({ outcome }) => outcome !== "unchanged")).toEqual([]);
      expect(changes).toHaveLength(14);
    },
    LIMIT_MS,
  );

  for (const [args, message] of [
    [["--cluster-name", "west", "--cluster-id", "2"], 'it is installed as "east" (id 1)'],
    [[...NAME, "--namespace", "other"], 'Tombolo is installed in namespace "tombolo-system"'],
    [[...NAME, "--context", "nowhere"], 'Cannot find context "nowhere"'],
  ] as const) {
    test(
      `refuses ${args.join(" ")}`,
      async () => expect(await refusal(installCommand, args)).toContain(message),
      LIMIT_MS,
    );
  }

  test(
    "refuses nodes that have no addresses to give, by name",
    async () => {
      const body = { metadata: { name: "node3" } };
      await kubernetes.call({ method: "POST", path: "/api/v1/nodes", body });
      expect(await refusal(installCommand, NAME)).toContain("nodes node3 have no pod CIDR");
      await kubernetes.call({ method: "DELETE", path: "/api/v1/nodes/node3" });
    },
    LIMIT_MS,
  );

  test(
    "refuses credentials that may not write, by what they lack",
    async () => {
      const path = `${CORE}/serviceaccounts/tombolo-agent/token`;
      const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
      const { status } = await kubernetes.call<{ status: { token: string } }>({
        method: "POST",
        path,
        body: request,
      });
      const poor = await kubernetes.writeKubeconfig({ token: status.token });
      const context = createTestContext(directory);
      const args = [...NAME, "--kubeconfig", poor.path];
      await expect(installCommand.run(args, context)).rejects.toThrow(
        /do not allow to get namespaces|is forbidden|403/,
      );
    },
    LIMIT_MS,
  );

  test(
    "upgrade keeps settings, changes those that are named, removes what is of an older version",
    async () => {
      await kubernetes.call({
        method: "PATCH",
        path: `${CORE}/configmaps/tombolo-cluster`,
        body: { metadata: { labels: { "app.kubernetes.io/version": "0.0.9" } } },
      });
      const labels = { "app.kubernetes.io/managed-by": "mesh-install" };
      await kubernetes.call({
        method: "POST",
        path: `${CORE}/configmaps`,
        body: { metadata: { name: "tombolo-old", labels } },
      });
      expect(await refusal(installCommand, NAME)).toContain("version 0.0.9 is installed");
      const planned = await mesh(upgradeCommand, ["--mtu", "9000", "--dry-run"]);
      expect(planned.out).toContain("ConfigMap tombolo-system/tombolo-old would be removed");
      expect(planned.out).toContain("DaemonSet tombolo-system/tombolo-agent would be changed");
      const { out, err } = await mesh(upgradeCommand, ["--mtu", "9000"]);
      expect(out).toMatch(/^Upgraded: version 0\.0\.9 to /);
      expect(err).toContain("removed ConfigMap tombolo-system/tombolo-old");
      expect(err).toContain("tombolo-agent 2/2 ready");
      const { data } = await kubernetes.call<{ data: Record<string, string> }>({
        path: `${CORE}/configmaps/tombolo-cluster`,
      });
      expect(JSON.parse(data["agent.json"] ?? "")).toMatchObject({
        clusterName: "east",
        overlay: { underlayMtu: 9000 },
      });
      expect((await mesh(upgradeCommand, [])).out).toContain("14 unchanged");
    },
    LIMIT_MS,
  );

  test(
    "uninstall refuses while a peer is connected, and says which",
    async () => {
      const name = "tombolo-peer-west";
      const body = { metadata: { name, labels: { "tombolo.io/peer": "west" } } };
      await kubernetes.call({ method: "POST", path: `${CORE}/secrets`, body });
      const users = "users:\n  - name: remote-north\n    role: remote\n";
      const readers = {
        metadata: { name: "tombolo-readers" },
        data: { "remote-users.yaml": users },
      };
      await kubernetes.call({ method: "POST", path: `${CORE}/configmaps`, body: readers });
      expect(await refusal(uninstallCommand, [])).toBe(
        "Cannot uninstall Tombolo: it is connected with north, west",
      );
      const path = `/apis/apps/v1/namespaces/${NAMESPACE}/daemonsets/tombolo-agent`;
      await kubernetes.call({ path });
    },
    LIMIT_MS,
  );

  test(
    "uninstall names a node that does not answer, and goes on when it is run again",
    async () => {
      keeper.setStatus("tombolo-cleanup", {
        phase: "Pending",
        conditions: [{ type: "Ready", status: "False" }],
        containerStatuses: [],
      });
      const said = await refusal(uninstallCommand, ["--force", "--timeout", "5"]);
      expect(said).toMatch(/^Cannot clean nodes node[12], node[12]: they have not done it in 5 s/);
      keeper.setStatus("tombolo-cleanup", undefined);
      const { out, err } = await mesh(uninstallCommand, ["--force"]);
      expect(out).toMatch(/^Uninstalled: \d+ objects removed, 2 nodes cleaned\n$/);
      expect(err).toContain("node node2 is clean");
      expect(await everyObject()).toEqual(before);
      expect((await mesh(uninstallCommand, [])).out).toContain("Nothing to uninstall");
    },
    LIMIT_MS,
  );
});

// Clusters of Kubernetes without Tombolo: what `mesh lab` makes, repairs, and takes away again.
import { afterAll, beforeEach, describe, expect, test } from "@jest/globals";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { findCgroup2 } from "../../bpf/mounts.ts";
import { findCgroupV1 } from "../../deploy/lab/kubernetes/cgroup-v1.ts";
import { mustSucceed } from "../e2e/test-lab.ts";
import { eventually } from "../fakes/eventually.ts";
import { createKubernetesTestLab, KUBERNETES_UP_LIMIT_MS } from "./kubernetes-lab.ts";

const BARE = ["--no-install", "--clusters", "east", "--nodes", "1"];
/** What a kubelet, containerd or kubectl makes on a machine that is not kept from it. */
const FOREIGN = [
  "/etc/cni/net.d/05-tombolo.conflist",
  "/opt/cni/bin/tombolo-cni",
  "/opt/tombolo",
  "/run/containerd",
  "/usr/libexec/kubernetes",
  "/var/lib/cni",
  "/var/lib/containerd",
  "/var/lib/kubelet",
  "/var/log/containers",
  "/var/log/pods",
];
const KERNEL_SETTINGS = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];
const lab = createKubernetesTestLab("k8s");

beforeEach(async () => {
  mustSucceed(await lab.down());
});
afterAll(() => lab.remove(), KUBERNETES_UP_LIMIT_MS);

describe("mesh lab up --source kubernetes", () => {
  test(
    "makes nodes on which pods run; the runtime's death is none of theirs; down leaves nothing",
    async () => {
      const before = traces();
      mustSucceed(await lab.upKubernetes(BARE));
      mustSucceed(await lab.mesh(["lab", "status", "--name", lab.name]));
      await runPod("hello");
      const words = ["exec", "hello", "--", "cat", "/proc/1/cgroup"];
      const cgroups = (await lab.kubectl("east", words)).trimEnd().split("\n");
      // In every hierarchy below a directory that carries the lab's name.
      const elsewhere = cgroups.filter((line) => !line.includes(`:/tombolo-${lab.name}`));
      expect(elsewhere).toEqual([]);
      expect(await lab.kubectl("east", ["logs", "hello"])).toBe("up\n");
      const started = await lab.kubectl("east", ["exec", "hello", "--", "stat", "-c%Y", "/proc/1"]);

      await lab.kill({ cluster: "east", kind: "kube-apiserver" });
      await lab.kill({ cluster: "east", kind: "containerd" });
      await lab.kill({ cluster: "east", kind: "kubelet" });
      const status = await lab.mesh(["lab", "status", "--name", lab.name]);
      expect(status.status).toBe(1);
      expect(status.stdout).toMatch(/east-control\.kube-apiserver +- +DEAD/);
      mustSucceed(await lab.up(["--clusters", "east", "--nodes", "1"]));
      const again = await lab.kubectl("east", ["exec", "hello", "--", "stat", "-c%Y", "/proc/1"]);
      expect(again).toBe(started);

      // Inside, a node has what the machine has not.
      const exec = ["lab", "exec", "--name", lab.name, "east/node1", "--"];
      const inside = await lab.mesh([...exec, "ls", "-d", "/var/lib/kubelet", "/run/containerd"]);
      expect(mustSucceed(inside)).toBe("/run/containerd\n/var/lib/kubelet\n");
      mustSucceed(await lab.down());
      await expectNoMoreThan(before);
    },
    KUBERNETES_UP_LIMIT_MS,
  );

  test(
    "brings back clusters of which every process was killed; down leaves nothing of such ones",
    async () => {
      const before = traces();
      mustSucceed(await lab.upKubernetes(BARE));
      await runPod("hello");
      expect(await lab.killEverything()).toBeGreaterThanOrEqual(8);
      mustSucceed(await lab.upKubernetes(BARE));
      await runPod("other");
      await lab.killNode("east", "node1");
      await lab.killEverything();
      mustSucceed(await lab.down());
      await expectNoMoreThan(before);
    },
    KUBERNETES_UP_LIMIT_MS,
  );

  test("refuses a source that it does not know, in one sentence", async () => {
    const { status, stderr } = await lab.up(["--source", "docker"]);
    expect(status).toBe(2);
    expect(stderr).toContain("want --source manifests or kubernetes");
  });
});

/** On the network of its node, since there is no other yet; resolves when it runs. */
async function runPod(name: string): Promise<void> {
  const [image = ""] = (
    await lab.kubectl("east", [
      "get",
      "nodes",
      '--output=jsonpath={range .items[*].status.images[*]}{.names[*]}{"\\n"}{end}',
    ])
  )
    .split(/\s+/)
    .filter((text) => text.startsWith("localhost/tombolo-lab:"));
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      hostNetwork: true,
      tolerations: [{ operator: "Exists" }],
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "main",
          image,
          imagePullPolicy: "Never",
          command: ["sh", "-c", "echo up; exec sleep 100000"],
        },
      ],
    },
  };
  await lab.kubectl("east", ["apply", "-f", "-"], JSON.stringify(pod));
  await lab.kubectl("east", ["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=120s"]);
}

/** The kernel takes the last mounts and cgroups of the dead away in its own time. */
async function expectNoMoreThan(before: ReturnType<typeof traces>): Promise<void> {
  const same = eventually(() => isDeepStrictEqual(traces(), before));
  // What differs is told below.
  await same.catch(() => undefined);
  expect(traces()).toEqual(before);
}

/** Everything on the machine by which somebody could see that the lab was there. */
function traces() {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const hierarchies = [findCgroup2(), ...findCgroupV1()];
  return {
    namespaces: listOf("/run/netns").filter((name) => name.includes(lab.name)),
    mounts: mounts.filter((line) => line.includes(lab.name)),
    cgroups: hierarchies.flatMap((root) =>
      listOf(root)
        .filter((name) => name.includes(lab.name) || name === "k8s.io")
        .map((name) => join(root, name)),
    ),
    processes: listOf("/proc").filter((name) => /^\d+$/.test(name) && isOurs(name)),
    runtime: listOf("/run/tombolo").filter((name) => name.includes(lab.name)),
    home: listOf(lab.home),
    foreign: FOREIGN.filter((path) => existsSync(path)),
    settings: KERNEL_SETTINGS.map((name) => readFileSync(`/proc/sys/${name}`, "utf8")),
    interfaces: listOf("/sys/class/net"),
  };
}

/** By its words, and by its cgroup: a pod's process does not name the lab. */
function isOurs(pid: string): boolean {
  return ["cmdline", "cgroup"].some((file) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(lab.name);
    } catch {
      // It has ended since the list was made.
      return false;
    }
  });
}

function listOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

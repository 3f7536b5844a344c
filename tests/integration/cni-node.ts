// A node for the CNI plugin's tests: a network namespace with an overlay device, a router device
// and a datapath pinned in a bpffs of its own, and pods as further namespaces. Start it with
// `node cni-node.ts BPF_ROOT CGROUP OBJECTS` inside the namespace to load the datapath.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDatapath } from "../../bpf/datapath.ts";
import { findCgroup2 } from "../../bpf/mounts.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NODE = join(ROOT, "node_modules/.bin/node");
const OVERLAY = "tombolo_vxlan";
export const MTU = 1450;
export const ROUTERS = ["10.77.1.1", "fd00:77::1"] as const;

export interface CniAnswer {
  readonly status: number | null;
  /** Parsed standard output; undefined when there is none. */
  readonly json: Record<string, unknown> | undefined;
}

export interface CniCall {
  readonly command: string;
  readonly containerId: string;
  readonly netns?: string;
  readonly config?: Record<string, unknown>;
  readonly env?: Record<string, string>;
}

export interface CniTestNode extends Disposable {
  readonly namespace: string;
  readonly stateDirectory: string;
  readonly bpfRoot: string;
  readonly addPodNamespace: (name: string) => string;
  readonly call: (call: CniCall, onStart?: (pid: number) => void) => Promise<CniAnswer>;
  /** Runs a program in the node's namespace, or in the one given. */
  readonly run: (command: readonly string[], namespace?: string) => string;
  readonly writeNodeFile: (changes?: Record<string, unknown>) => void;
  readonly hostInterfaces: () => string[];
  readonly takenAddresses: () => string[];
}

export function createCniTestNode(unique: string): CniTestNode {
  const namespace = `tcni-${unique}`;
  const directory = mkdtempSync(join(tmpdir(), "tombolo-cni-"));
  const bpffs = join(directory, "bpf");
  const bpfRoot = join(bpffs, "node");
  const stateDirectory = join(directory, "state");
  const cgroup = join(findCgroup2(), namespace);
  const pods: string[] = [];
  const run = (command: readonly string[], where = namespace): string =>
    execFileSync("nsenter", [`--net=/run/netns/${where}`, ...command], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  const remove = (): void => {
    const there = readdirSync("/run/netns");
    for (const name of [...pods, namespace].filter((candidate) => there.includes(candidate)))
      execFileSync("ip", ["netns", "delete", name]);
    execFileSync("sh", ["-c", 'if mountpoint -q "$1"; then umount "$1"; fi', "sh", bpffs]);
    rmdirSync(cgroup);
    rmSync(directory, { recursive: true, force: true });
  };

  mkdirSync(stateDirectory, { recursive: true });
  mkdirSync(bpffs);
  mkdirSync(cgroup);
  try {
    execFileSync("mount", ["-t", "bpf", "bpf", bpffs]);
    execFileSync("ip", ["netns", "add", namespace]);
    run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"]);
    for (const words of [
      "link set lo up",
      `link add ${OVERLAY} type vxlan external dstport 8472`,
      `link set ${OVERLAY} up`,
      ...ROUTERS.map((router) => `address add ${router} dev lo`),
    ]) {
      run(["ip", ...words.split(" ")]);
    }
    const self = fileURLToPath(import.meta.url);
    run([NODE, "--disable-warning=ExperimentalWarning", self, bpfRoot, cgroup]);
  } catch (error) {
    remove();
    throw error;
  }

  return {
    namespace,
    stateDirectory,
    bpfRoot,
    run,
    [Symbol.dispose]: remove,
    addPodNamespace(name) {
      const full = `${namespace}-${name}`;
      execFileSync("ip", ["netns", "add", full]);
      pods.push(full);
      return full;
    },
    call: (call, onStart) => callPlugin({ call, namespace, stateDirectory }, onStart),
    writeNodeFile(changes = {}) {
      const node = {
        nodeName: "node1",
        podPrefixes: ["10.77.1.0/24", "fd00:77::/64"],
        routerAddresses: ROUTERS,
        mtu: MTU,
        bpfRoot,
        ...changes,
      };
      writeFileSync(join(stateDirectory, "cni-node.json"), JSON.stringify(node));
    },
    hostInterfaces() {
      const links = JSON.parse(run(["ip", "-json", "link", "show"])) as { ifname: string }[];
      return links.map(({ ifname }) => ifname).filter((name) => name.startsWith("tbl"));
    },
    takenAddresses() {
      const book = join(stateDirectory, "address-book");
      const [boot = ""] = readdirSync(book);
      const names = readdirSync(join(book, boot));
      return names.filter((name) => readdirSync(join(book, boot, name)).length > 0);
    },
  };
}

async function callPlugin(
  where: { call: CniCall; namespace: string; stateDirectory: string },
  onStart?: (pid: number) => void,
): Promise<CniAnswer> {
  const { call, namespace, stateDirectory } = where;
  const plugin = join(ROOT, "agent/cni/tombolo-cni");
  const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, plugin], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      PATH: process.env["PATH"] ?? "",
      CNI_COMMAND: call.command,
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: call.netns === undefined ? "" : `/run/netns/${call.netns}`,
      CNI_IFNAME: "eth0",
      CNI_PATH: join(ROOT, "agent/cni"),
      ...call.env,
    },
  });
  const config = { cniVersion: "1.0.0", name: "test", type: "tombolo-cni", stateDirectory };
  child.stdin.on("error", () => child.stdin.destroy());
  child.stdin.end(JSON.stringify({ ...config, ...call.config }));
  if (child.pid !== undefined) onStart?.(child.pid);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) =>
      resolve({
        status,
        json: text === "" ? undefined : (JSON.parse(text) as Record<string, unknown>),
      }),
    );
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , bpfRoot = "", cgroupPath = ""] = process.argv;
  const objectDirectory = join(ROOT, "build/bpf");
  openDatapath({ bpfRoot, cgroupPath, overlayInterface: OVERLAY, objectDirectory }).close();
}

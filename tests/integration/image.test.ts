// The image as it is built, unpacked and run: that it holds what it must and nothing of the machine
// that built it, that its programs run with the rights they are meant to have, and that the folder
// which agents copy to their nodes runs where there is nothing else.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ensureImage,
  ensureLabImage,
  type Image,
  type ImageSeams,
} from "../../deploy/images/build.ts";
import { runStep } from "../../deploy/images/run-step.ts";
import { commandOutput, runCommand, type CommandResult } from "../../mesh/core/child-process.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { initialisePki } from "../../pki/files.ts";
import { eventually } from "../fakes/eventually.ts";
import { freePorts } from "../fakes/etcd.ts";
import { ROOT } from "../sources.ts";

/** The first build makes a Debian root; those after it do not. */
jest.setTimeout(600_000);

const never = new AbortController().signal;
const UNPRIVILEGED = 65_532;

let directory: string;
let image: Image;
/** The image's files. */
let root: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-image-"));
  image = await ensureImage(seams(), never);
  root = await unpack(image, join(directory, "root"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

function seams(said: string[] = []): ImageSeams {
  return { say: (line) => void said.push(line), clock: systemClock };
}

interface Manifest {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

async function readManifest({ archive }: Image): Promise<Manifest> {
  const text = await commandOutput({ argv: ["tar", "-xOf", archive, "manifest.json"] }, never);
  const [manifest] = JSON.parse(text) as Manifest[];
  if (manifest === undefined) throw new Error("The archive's manifest is empty");
  return manifest;
}

async function unpack(from: Image, target: string): Promise<string> {
  const { Layers } = await readManifest(from);
  expect(Layers).toHaveLength(1);
  await mkdir(target, { recursive: true });
  const script = 'tar -xOf "$1" "$2" | tar -xf - --numeric-owner -C "$3"';
  await commandOutput(
    { argv: ["sh", "-c", script, "sh", from.archive, Layers[0] ?? "", target] },
    never,
  );
  return target;
}

const ISOLATED = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork"] as const;

/** The words that run something in a root, with /proc and /dev and nothing else of the host. */
function inRoot(
  where: string,
  argv: readonly string[],
  options: { readonly prepare?: string; readonly userspec?: string } = {},
): [string, ...string[]] {
  const { prepare = "", userspec = "0:0" } = options;
  const script = `set -e
    cd "$1"
    mount --bind . . && cd "$1"
    ${prepare}
    mount -t proc proc proc
    mount --rbind /dev dev
    shift
    exec chroot --userspec=${userspec} . "$@"`;
  return [...ISOLATED, "--kill-child", "sh", "-c", script, "sh", where, ...argv];
}

function run(where: string, argv: readonly string[], input = ""): Promise<CommandResult> {
  const env = { PATH: "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
  return runCommand({ argv: inRoot(where, argv), input, env }, never);
}

describe("the archive", () => {
  test("has the name that it is imported by, and is there when asked for again", async () => {
    expect(image.name).toMatch(/^localhost\/tombolo:[0-9a-f]{16}$/);
    expect((await readManifest(image)).RepoTags).toEqual([image.name]);
    const said: string[] = [];
    expect(await ensureImage(seams(said), never)).toEqual(image);
    expect(said).toEqual([]);
  });

  test("leaves nothing half done when its build is aborted", async () => {
    const target = join(directory, "aborted");
    const abort = new AbortController();
    const say = (): void => abort.abort("enough");
    await expect(
      ensureImage({ say, clock: systemClock, directory: target }, abort.signal),
    ).rejects.toMatchObject({ code: "aborted" });
    expect((await readdir(target)).filter((name) => name !== "build.log")).toEqual([]);
  });
});

describe("a step of the build", () => {
  const logFile = (): string => join(directory, "step.log");

  test("says what it was for and what was said when it fails", async () => {
    const argv = ["sh", "-c", "echo the disk is full; exit 3"];
    await expect(
      runStep({ purpose: "write the archive", argv, logFile: logFile() }, never),
    ).rejects.toThrow("Cannot write the archive: exit status 3: the disk is full");
  });

  test("ends with everything that it started and mounted when it is aborted", async () => {
    const mounted = join(directory, "mounted");
    await mkdir(mounted);
    const abort = new AbortController();
    const script = `mount -t tmpfs none ${mounted} && setsid sleep 9999.5 & echo started; wait; wait`;
    const step = runStep(
      { purpose: "wait", argv: ["sh", "-c", script], logFile: logFile() },
      abort.signal,
    );
    const ended = expect(step).rejects.toMatchObject({ code: "aborted" });
    await eventually(async () => (await readFile(logFile(), "utf8")).includes("started"));
    abort.abort();
    await ended;
    await eventually(async () => !(await commandLines()).includes("sleep\u00009999.5\u0000"));
    expect(await readFile("/proc/self/mounts", "utf8")).not.toContain(mounted);
  });
});

describe("the image", () => {
  test.each([
    ["mesh --help", "one network from many Kubernetes clusters"],
    ["etcd --version", "etcd Version: 3."],
    ["nats-server --version", "nats-server: v2."],
    ["ip -V", "iproute2"],
    ["nsenter --version", "util-linux"],
  ])("runs %s", async (command, said) => {
    const result = await run(root, command.split(" "));
    expect(result).toMatchObject({ status: 0, stderr: "" });
    expect(result.stdout).toContain(said);
  });

  test.each(["tombolo-apiserver", "tombolo-agent"])(
    "runs %s, which asks for FILE",
    async (name) => {
      const { status, stderr } = await run(root, [name]);
      expect(status).not.toBe(0);
      expect(stderr).toMatch(/mesh: error: Cannot start the .*--config FILE/);
    },
  );

  test("holds production's packages and none of development's", async () => {
    const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8")) as {
      packages: Record<string, { dev?: boolean }>;
    };
    const installed = Object.entries(lock.packages).filter(([path]) =>
      existsSync(join(ROOT, path, "package.json")),
    );
    const paths = (wanted: boolean): string[] =>
      installed
        .filter(([path, { dev = false }]) => path !== "" && dev === wanted)
        .map(([path]) => path)
        .filter((path) => !path.includes("/@types/"));
    const present = (path: string): boolean => existsSync(join(root, "opt/tombolo", path));
    expect(paths(false).filter((path) => !present(path))).toEqual([]);
    expect(paths(true).filter(present)).toEqual([]);
  });

  test("keeps no configuration, name or path of the machine that built it", async () => {
    expect(existsSync(join(root, "etc/apt/sources.list"))).toBe(false);
    // Empty places for what a runtime puts there.
    for (const path of ["etc/hostname", "etc/hosts", "etc/resolv.conf"]) {
      expect(await readFile(join(root, path), "utf8")).toBe("");
    }
    for (const path of ["etc/apt/sources.list.d", "var/lib/apt/lists", "tmp", "var/log"]) {
      expect(await readdir(join(root, path))).toEqual([]);
    }
    const settings = (await readdir(join(root, "etc/apt/apt.conf.d"))).sort();
    expect(settings.filter((name) => /mirror|proxy/.test(name))).toEqual([]);
    const search = ["grep", "-rlF", "--", ROOT, root] as const;
    expect((await runCommand({ argv: search }, never)).stdout).toBe("");
    const { Config } = await readManifest(image);
    const config = await commandOutput({ argv: ["tar", "-xOf", image.archive, Config] }, never);
    expect(config).not.toContain(ROOT);
  });

  test("has no manual pages, translations or caches", async () => {
    for (const path of ["usr/share/man", "usr/share/locale", "var/cache/apt/archives"]) {
      expect(existsSync(join(root, path))).toBe(false);
    }
  });
});

describe("the apiserver without rights, on a file system that is read-only", () => {
  let child: ChildProcess | undefined;
  afterAll(async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // A process that gave up its rights no longer dies with its parent: it is asked itself.
    const closed = once(child, "close");
    const first = await firstChildOf(child);
    if (first !== undefined) process.kill(first, "SIGKILL");
    await closed;
  });

  test("comes up with its etcd, writing below /var/run/tombolo only", async () => {
    const state = join(directory, "state");
    const [etcdPort = 0, healthPort = 0, joinPort = 0] = await freePorts(3);
    const etcdListen = `https://127.0.0.1:${etcdPort}`;
    const joinListen = `127.0.0.1:${joinPort}`;
    const profile = {
      name: "east",
      id: 1,
      etcdEndpoints: [etcdListen],
      joinEndpoint: joinListen,
    };
    await mkdir(join(state, "cluster/manifests"), { recursive: true });
    await writeFile(join(state, "cluster/cluster.json"), JSON.stringify(profile));
    await initialisePki(join(state, "cluster/pki"), { cluster: "east", nowMs: Date.now() });
    await writeFile(
      join(state, "apiserver.json"),
      JSON.stringify({
        directory: "/var/run/tombolo/cluster",
        etcd: { mode: "embedded", listen: etcdListen },
        healthListen: `127.0.0.1:${healthPort}`,
        joinListen,
      }),
    );
    await chownAll(state, UNPRIVILEGED);
    const prepare = `mount -o remount,bind,ro .\nmount --bind ${state} run/tombolo`;
    const argv = ["tombolo-apiserver", "--config", "/var/run/tombolo/apiserver.json"];
    const userspec = `${UNPRIVILEGED}:${UNPRIVILEGED}`;
    const [program, ...args] = inRoot(root, argv, { prepare, userspec });
    const env = {
      PATH: "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      NODE_COMPILE_CACHE: "/var/run/tombolo/compile-cache",
    };
    child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    }
    await eventually(
      async () => {
        if (child?.exitCode !== null) throw new Error(said);
        return (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok;
      },
      { limitMs: 60_000, what: "the apiserver is ready" },
    );
    expect((await readdir(join(state, "compile-cache"))).length).toBeGreaterThan(0);
    expect(said).not.toMatch(/EROFS|EACCES|EPERM/);
  });
});

describe("the folder for nodes", () => {
  const CONFIG = { cniVersion: "1.0.0", name: "tombolo", type: "tombolo-cni" };
  let bare: string;

  beforeAll(async () => {
    // A root with a shell and nothing else: no libc, no Node, no `ip`.
    bare = join(directory, "bare");
    for (const path of ["bin", "proc", "dev", "sys", "host"]) {
      await mkdir(join(bare, path), { recursive: true });
    }
    await cp("/bin/busybox", join(bare, "bin/sh"));
    await cp(join(root, "opt/tombolo-host"), join(bare, "host/anywhere"), { recursive: true });
    await mkdir(join(bare, "cni"));
    await symlink("/host/anywhere/bin/tombolo-cni", join(bare, "cni/tombolo-cni"));
  });

  test.each(["/host/anywhere/bin/tombolo-cni", "/cni/tombolo-cni"])(
    "runs the plugin as %s",
    async (plugin) => {
      const line = `CNI_COMMAND=VERSION exec ${plugin}`;
      const input = JSON.stringify(CONFIG);
      const result = await run(bare, ["/bin/sh", "-c", line], input);
      expect(result).toMatchObject({ status: 0, stderr: "" });
      expect(JSON.parse(result.stdout)).toMatchObject({ cniVersion: "1.0.0" });
    },
  );

  test("loads everything that adding a pod takes: what is missing is the node's file", async () => {
    const line =
      "CNI_COMMAND=ADD CNI_CONTAINERID=abc CNI_NETNS=/proc/self/ns/net CNI_IFNAME=eth0 " +
      "CNI_PATH=/cni CNI_ARGS='K8S_POD_NAMESPACE=a;K8S_POD_NAME=b' exec /cni/tombolo-cni";
    const input = JSON.stringify({ ...CONFIG, stateDirectory: "/state" });
    const result = await run(bare, ["/bin/sh", "-c", line], input);
    expect(result).toMatchObject({ status: 1, stderr: "" });
    expect(result.stdout).toContain("/state/cni-node.json");
  });

  test("calls libbpf", async () => {
    const probe = join(bare, "host/anywhere/app/probe.ts");
    await writeFile(
      probe,
      'import { interfaceIndex, objectGet } from "./bpf/libbpf.ts";\n' +
        'console.log(interfaceIndex("lo"), objectGet("/nothing") < 0);\n',
    );
    const folder = "/host/anywhere";
    const line =
      `for loader in ${folder}/lib/ld-linux*; do exec $loader --inhibit-cache ` +
      `--library-path ${folder}/lib ${folder}/libexec/node --no-warnings ${folder}/app/probe.ts; done`;
    const result = await run(bare, ["/bin/sh", "-c", line]);
    expect(result).toEqual({ status: 0, stdout: "1 true\n", stderr: "" });
  });

  test("has `ip` and `nsenter` that need nothing of the node either", async () => {
    const folder = "/host/anywhere/bin";
    const line = `${folder}/nsenter --net=/proc/self/ns/net -- ${folder}/ip -json link show lo`;
    const result = await run(bare, ["/bin/sh", "-c", line]);
    expect(result).toMatchObject({ status: 0, stderr: "" });
    expect(JSON.parse(result.stdout)).toMatchObject([{ ifname: "lo" }]);
  });
});

describe("the lab's image", () => {
  test("runs a shell, and as a sandbox ends at once when it is told to", async () => {
    const lab = await ensureLabImage(seams(), never);
    const where = await unpack(lab, join(directory, "lab"));
    const { Config } = await readManifest(lab);
    const config = JSON.parse(
      await commandOutput({ argv: ["tar", "-xOf", lab.archive, Config] }, never),
    ) as { config: { Cmd: string[] } };
    expect(await run(where, ["sh", "-c", "which wget httpd nc sleep"])).toMatchObject({
      status: 0,
      stdout: "/bin/wget\n/bin/httpd\n/bin/nc\n/bin/sleep\n",
    });
    // The first process of its namespace, as in a pod: signals without a handler do not reach it.
    const [program, ...args] = inRoot(where, config.config.Cmd);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
    const pid = await eventually(async () => {
      const first = await firstChildOf(child);
      const line = first === undefined ? "" : await readFile(`/proc/${first}/cmdline`, "utf8");
      return line.startsWith("/bin/sh\0-c\0trap") ? first : undefined;
    });
    const status = await eventually(async () => {
      if (child.exitCode === null) process.kill(pid, "SIGTERM");
      return child.exitCode ?? undefined;
    });
    expect(status).toBe(0);
  });
});

/** The first process of the namespace that `unshare` has made. */
async function firstChildOf({ pid }: ChildProcess): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return children.trim() === "" ? undefined : Number(children.trim().split(" ")[0]);
}

async function commandLines(): Promise<string> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    // A process that has ended since has none.
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.join("\n");
}

async function chownAll(path: string, id: number): Promise<void> {
  await chown(path, id, id);
  for (const entry of await readdir(path, { recursive: true })) {
    await chown(join(path, entry), id, id);
  }
}

// What `mesh lab` leaves behind: nothing, however the lab came to its end; and what it refuses.
import { afterAll, beforeEach, describe, expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCgroup2 } from "../../bpf/mounts.ts";
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import { createPod, listPods } from "../../deploy/lab/pods.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  cartPod,
  collect,
  createTestLab,
  mustSucceed,
  never,
  UP_LIMIT_MS,
  type TestLab,
} from "./test-lab.ts";

const SMALL = ["--clusters", "east", "--nodes", "1"];
const lab = createTestLab("down");

beforeEach(async () => {
  mustSucceed(await lab.down());
});
afterAll(() => lab.remove(), UP_LIMIT_MS);

describe("mesh lab down", () => {
  test(
    "leaves nothing of a lab with pods, and is no error the second time",
    async () => {
      const before = traces(lab);
      mustSucceed(await lab.up(SMALL));
      const pod = cartPod({ cluster: "east", node: "node1", name: "cart-1" });
      await createPod(await lab.open(), pod, never);
      expect(traces(lab).processes).not.toEqual([]);
      for (const _ of [1, 2]) mustSucceed(await lab.down());
      expect(traces(lab)).toEqual(before);
      // `ip` mounts this directory for its first namespace; nobody needs it after the last one.
      const mounted = readFileSync("/proc/mounts", "utf8").includes(" /run/netns ");
      expect(mounted).toBe(listOf("/run/netns").length > 0);
    },
    UP_LIMIT_MS,
  );

  test(
    "leaves nothing after kill -9 of everything the lab had started",
    async () => {
      const before = traces(lab);
      mustSucceed(await lab.up(SMALL));
      const pod = cartPod({ cluster: "east", node: "node1", name: "cart-1" });
      await createPod(await lab.open(), pod, never);
      const pids = await listProcesses(join(findCgroup2(), `tombolo-${lab.name}`));
      expect(pids.length).toBeGreaterThanOrEqual(4);
      for (const pid of pids) process.kill(pid, "SIGKILL");
      mustSucceed(await lab.down());
      expect(traces(lab)).toEqual(before);
    },
    UP_LIMIT_MS,
  );

  test(
    "leaves nothing of a lab that was interrupted while it was made; lab up would go on",
    async () => {
      const before = traces(lab);
      const child = lab.startMesh(["lab", "up", "--name", lab.name, ...SMALL]);
      const ended = collect(child);
      const record = join(lab.home, "lab", lab.name, "lab.json");
      await eventually(() => existsSync(record));
      child.kill("SIGINT");
      const { status, stderr } = await ended;
      expect(status).toBe(130);
      expect(stderr).toContain(`\`mesh lab up --name ${lab.name}\` goes on from here`);
      mustSucceed(await lab.up(SMALL));
      mustSucceed(await lab.down());
      expect(traces(lab)).toEqual(before);
    },
    UP_LIMIT_MS,
  );

  test(
    "leaves nothing of a lab whose maker was killed half way",
    async () => {
      const before = traces(lab);
      const child = lab.startMesh(["lab", "up", "--name", lab.name, ...SMALL]);
      const ended = collect(child);
      await eventually(() => traces(lab).namespaces.length > before.namespaces.length);
      child.kill("SIGKILL");
      await ended;
      // What the maker was running itself ends by its own; nothing waits for it.
      await eventually(async () => {
        mustSucceed(await lab.down());
        return JSON.stringify(traces(lab)) === JSON.stringify(before);
      });
    },
    UP_LIMIT_MS,
  );
});

describe("mesh lab up", () => {
  test(
    "brings back what was lost: namespaces, daemons, pods; lab exec reaches them",
    async () => {
      mustSucceed(await lab.up(SMALL));
      const pod = cartPod({ cluster: "east", node: "node1", name: "cart-1" });
      await createPod(await lab.open(), pod, never);
      const node = `tombolo-${lab.name}-east-node1`;
      for (const name of [node, `tombolo-${lab.name}-router`]) {
        mustSucceed(await collect(spawn("ip", ["netns", "delete", name])));
      }
      const broken = await lab.mesh(["lab", "status", "--name", lab.name]);
      expect(broken.status).toBe(1);
      expect(broken.stdout).toContain("MISSING");

      mustSucceed(await lab.up(SMALL));
      mustSucceed(await lab.mesh(["lab", "status", "--name", lab.name]));
      const [status] = await listPods(await lab.open());
      const script = `require("net").connect(8080, "${status?.addresses[0]}")
        .on("data", (text) => { process.stdout.write(text); process.exit(7); }).write("1\\n")`;
      const words = ["lab", "exec", "--name", lab.name, "east/node1", "--"];
      const answer = await lab.mesh([...words, process.execPath, "-e", script]);
      expect(answer).toMatchObject({ status: 7, stdout: "east/cart-1\n" });
    },
    UP_LIMIT_MS,
  );

  test(
    "refuses to work beside another command that changes the lab",
    async () => {
      const first = lab.startMesh(["lab", "up", "--name", lab.name, ...SMALL]);
      const ended = collect(first);
      await eventually(() => existsSync(join(lab.home, "lab", lab.name, "lab.json")));
      const { status, stderr } = await lab.down();
      mustSucceed(await ended);
      expect(status).toBe(1);
      expect(stderr).toContain("another command is changing it right now");
    },
    UP_LIMIT_MS,
  );

  test(
    "refuses another size, and another home, in one sentence with a hint",
    async () => {
      mustSucceed(await lab.up(SMALL));
      const other = await lab.up(["--clusters", "north", "--nodes", "1"]);
      expect(other.status).toBe(1);
      expect(other.stderr).toContain("it is there with clusters east and 1 nodes each");
      expect(other.stderr).toContain(`mesh: hint: \`mesh lab down --name ${lab.name}\``);

      const home = mkdtempSync(join(tmpdir(), "tombolo-e2e-other-"));
      try {
        const words = ["lab", "up", "--name", lab.name, ...SMALL];
        const stranger = await collect(lab.startMesh(words, home));
        expect(stranger.status).toBe(1);
        expect(stranger.stderr).toContain(`it belongs to the home "${lab.home}"`);
        const down = await collect(lab.startMesh(["lab", "down", "--name", lab.name], home));
        expect(down.stderr).toContain(`it belongs to the home "${lab.home}"`);
      } finally {
        rmSync(home, { recursive: true });
      }
      mustSucceed(await lab.mesh(["lab", "status", "--name", lab.name]));
    },
    UP_LIMIT_MS,
  );
});

/** Everything on the machine that carries the lab's name. */
function traces(of: TestLab) {
  const mark = `tombolo-${of.name}`;
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return {
    namespaces: listOf("/run/netns").filter((name) => name.startsWith(`${mark}-`)),
    mounts: lines.filter((line) => line.includes(mark) || line.includes(`/run/tombolo/${of.name}`)),
    cgroups: listOf(findCgroup2()).filter((name) => name.includes(of.name)),
    processes: listOf("/proc").filter((name) => /^\d+$/.test(name) && mentions(name, of)),
    runtime: listOf("/run/tombolo").filter((name) => name.includes(of.name)),
    home: listOf(of.home),
  };
}

function mentions(pid: string, of: TestLab): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return words.includes(`${of.home}/`) || readlinkSync(`/proc/${pid}/cwd`).includes(of.home);
  } catch {
    // It has ended since the list was made.
    return false;
  }
}

function listOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

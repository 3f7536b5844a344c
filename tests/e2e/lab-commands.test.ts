// The command line on a mesh of three real clusters: connect --all, invite and join, disconnect
// from the dead, refusals that write nothing, the examples of every help text, and no secret
// anywhere but in its own file (invariants 8 and 9).
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import { labDaemons } from "../../deploy/lab/daemons.ts";
import { deleteManifest, nodeManifest, writeManifest } from "../../deploy/lab/manifests.ts";
import {
  AGENT_HEALTH_PORT,
  findCluster,
  findNode,
  HEALTH_PORT,
  labNodes,
} from "../../deploy/lab/plan.ts";
import type { PodHost } from "../../deploy/lab/pods.ts";
import { writeService } from "../../deploy/lab/services.ts";
import { COMMANDS } from "../../mesh/commands/registry.ts";
import { parseInviteToken } from "../../mesh/connect/invite-token.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { readTree } from "../fakes/cluster.ts";
import { eventually } from "../fakes/eventually.ts";
import { examplesOf, wordsForLab } from "./help-examples.ts";
import { dumpEtcd, readPage } from "./secret-places.ts";
import {
  findSecrets,
  listTree,
  readProcessWords,
  secretFromBytes,
  secretFromKey,
  type FoundFile,
  type Secret,
} from "./secrets.ts";
import { CART, createTestLab, killDaemons, mustSucceed, UP_LIMIT_MS } from "./test-lab.ts";

const LIMIT_MS = 180_000;
/** Some eighty commands, a process each. */
const EXAMPLES_LIMIT_MS = 360_000;
const CLUSTERS = ["east", "west", "north"];
const lab = createTestLab("commands");
const tokens: string[] = [];
let host: PodHost;

beforeAll(async () => {
  mustSucceed(await lab.up(["--clusters", CLUSTERS.join(","), "--nodes", "1"]));
  host = await lab.open();
}, UP_LIMIT_MS);

afterAll(() => lab.remove(), LIMIT_MS);

interface StatusRow {
  readonly cluster: string;
  readonly apiserver?: { readonly peers: readonly { name: string; synced: boolean }[] };
}

/** "east: north west": who reads whom in sync. */
async function peersInSync(): Promise<string[]> {
  const { stdout } = await lab.mesh(["status", "--output", "json"]);
  return (JSON.parse(stdout) as StatusRow[]).map(({ cluster, apiserver }) => {
    const names = (apiserver?.peers ?? []).filter(({ synced }) => synced).map(({ name }) => name);
    return `${cluster}: ${names.sort().join(" ")}`;
  });
}

/** What connecting may write, byte for byte. */
async function connections(): Promise<unknown> {
  const trees = host.plan.members.map(async ({ directory }) => {
    const paths = clusterPaths(directory);
    const users = await readFile(paths.remoteUsers, "utf8").catch(() => "absent");
    return [await readTree(paths.pki), await readTree(paths.peers), users];
  });
  return Promise.all(trees);
}

async function invite(cluster: string): Promise<string> {
  const words = ["invite", "--context", cluster, "--output", "json"];
  const { token } = JSON.parse(mustSucceed(await lab.mesh(words))) as { token: string };
  tokens.push(token);
  const file = join(lab.home, `token-${tokens.length}`);
  await writeFile(file, token, { mode: 0o600 });
  return file;
}

describe("mesh connect", () => {
  test(
    "refuses pod prefixes that overlap before anything is written",
    async () => {
      const north = findCluster(host.plan, "north");
      const node = findNode(findCluster(host.plan, "east"), "node1");
      const { manifests } = clusterPaths(north.directory);
      const clash = { ...nodeManifest({ ...node, name: "clash" }) };
      await writeManifest(manifests, clash);
      const before = await connections();
      const refused = await eventually(
        async () => {
          const result = await lab.mesh(["connect", "east", "north", "--dry-run"]);
          return result.stderr.includes("overlap") ? result : undefined;
        },
        { limitMs: LIMIT_MS, pollMs: 200 },
      );
      expect(refused.status).toBe(1);
      const all = await lab.mesh(["connect", "--all", ...CLUSTERS, "--output", "json"]);
      expect(all.status).toBe(1);
      expect(JSON.parse(all.stdout)).toMatchObject({
        outcome: "refused",
        findings: expect.arrayContaining([
          expect.objectContaining({ rule: "pod-prefix-overlap", severity: "error" }),
        ]),
      });
      expect(await connections()).toEqual(before);
      await deleteManifest(manifests, clash);
      await eventually(
        async () => (await lab.mesh(["connect", "--all", ...CLUSTERS, "--dry-run"])).status === 0,
        { limitMs: LIMIT_MS, pollMs: 200 },
      );
      expect(await connections()).toEqual(before);
    },
    LIMIT_MS,
  );

  test(
    "--all connects each of three with every other, and has nothing to do the second time",
    async () => {
      mustSucceed(await lab.mesh(["connect", "--all", ...CLUSTERS]));
      expect(await peersInSync()).toEqual([
        "east: north west",
        "north: east west",
        "west: east north",
      ]);
      const before = await connections();
      const again = await lab.mesh(["connect", "--all", ...CLUSTERS, "--output", "json"]);
      expect(JSON.parse(mustSucceed(again))).toMatchObject({ outcome: "connected", steps: [] });
      expect(await connections()).toEqual(before);
    },
    LIMIT_MS,
  );
});

describe("mesh disconnect", () => {
  test(
    "takes apart what is left when every process of the peer is dead",
    async () => {
      expect(await killDaemons(host, ({ cluster }) => cluster === "north")).toBe(4);
      for (const name of ["east", "west"]) {
        const result = await lab.mesh(["disconnect", name, "north", "--output", "json"]);
        expect(JSON.parse(mustSucceed(result))).toMatchObject({
          outcome: "disconnected",
          cluster: name,
          peer: "north",
        });
      }
      await eventually(
        async () => {
          const rows = (await peersInSync()).filter((row) => !row.startsWith("north"));
          return JSON.stringify(rows) === JSON.stringify(["east: west", "west: east"]);
        },
        { limitMs: LIMIT_MS, pollMs: 200 },
      );
      // Nothing is left to do, and that is no error.
      mustSucceed(await lab.mesh(["disconnect", "east", "north"]));
      const nobody = await lab.mesh(["disconnect", "east", "south"]);
      expect(nobody).toMatchObject({ status: 1, stdout: "" });
      mustSucceed(await lab.up(["--clusters", CLUSTERS.join(","), "--nodes", "1"]));
      expect(await peersInSync()).toEqual(["east: west", "north: ", "west: east"]);
    },
    LIMIT_MS,
  );
});

describe("mesh invite and mesh join", () => {
  test(
    "connect two clusters by a token from a pipe, which is then of no use to anybody",
    async () => {
      const file = await invite("west");
      const word = await readFile(file, "utf8");
      const before = await connections();
      const changed = `${word.slice(0, -6)}AAAAAA`;
      const refusals: readonly [string, string, string][] = [
        [changed, "north", "it was changed"],
        [word, "west", "west"],
      ];
      for (const [text, context, said] of refusals) {
        await writeFile(join(lab.home, "other"), text);
        const path = join(lab.home, "other");
        const result = await lab.mesh(["join", "--token-file", path, "--context", context]);
        expect([1, 2]).toContain(result.status);
        expect(result.stdout).toBe("");
        expect(result.stderr).toMatch(/^mesh: error: Cannot .+\n/m);
        expect(result.stderr).toContain(said);
      }
      await rm(join(lab.home, "other"));
      expect(await connections()).toEqual(before);

      const words = ["join", "--token-file", "/dev/stdin", "--context", "north"];
      mustSucceed(await lab.meshFed(file, words));
      expect(await peersInSync()).toEqual(["east: west", "north: west", "west: east north"]);
      const after = await connections();
      const again = await lab.mesh(["join", "--token-file", file, "--context", "north"]);
      expect(again).toMatchObject({ status: 1, stdout: "" });
      expect(await connections()).toEqual(after);
    },
    LIMIT_MS,
  );
});

describe("secrets", () => {
  test(
    "stand in their own files and nowhere else",
    async () => {
      const files = await listTree(lab.home);
      const found = files.filter(({ path, isFile }) => isFile && path.endsWith(".key"));
      // nats-server reads copies: the server's key, and one for each peer that it dials.
      const copies = found.filter(({ path }) => path.includes("/run/nats/"));
      const keys = found.filter((file) => !copies.includes(file));
      // Authority, server, admin and local of each cluster, and a key for each peer that is read.
      expect([keys.length, copies.length]).toEqual([3 * 4 + 4, 3 + 2]);
      const secrets: Secret[] = await Promise.all(
        keys.map(async ({ path }) => secretFromKey(path, await readFile(path, "utf8"))),
      );
      tokens.forEach((token, i) => {
        secrets.push(secretFromBytes(`token ${i}`, parseInviteToken(token).secret.bytes));
      });

      // The search finds what is there: each key in its own file, and each token in ours.
      const handed = files.filter(({ path }) => path.startsWith(join(lab.home, "token-")));
      for (const { path } of [...keys, ...handed]) {
        expect([path, findSecrets(secrets, await readFile(path))]).toEqual([
          path,
          [handed.some((file) => file.path === path) ? "token 0" : path],
        ]);
      }

      for (const { path } of copies) {
        const held = findSecrets(secrets, await readFile(path));
        expect([path, held]).toEqual([path, [expect.stringMatching(/\/(pki|peers)\/.*\.key$/)]]);
      }

      const places = new Map<string, Buffer | string>();
      for (const { path, isFile } of files) {
        const own = found.some((key) => key.path === path) || path.includes("/token-");
        if (isFile && !own) places.set(path, await readFile(path).catch(() => ""));
      }
      for (const pid of await listProcesses(join(host.cgroupRoot, host.plan.cgroup))) {
        places.set(`process ${pid}`, await readProcessWords(pid));
      }
      const asked = [
        ["status", "--output", "json"],
        ["lab", "status", "--name", lab.name, "--output", "json"],
        ...labNodes(host.plan).map(({ name }) => ["node", "status", "--node", name]),
        ["connect", "--all", ...CLUSTERS, "--dry-run", "--output", "json"],
      ];
      for (const words of asked) {
        const { stdout, stderr } = await lab.mesh(words);
        places.set(`mesh ${words.join(" ")}`, stdout + stderr);
      }
      for (const cluster of host.plan.members) {
        const { name } = cluster;
        places.set(`metrics of ${name}`, await readPage(lab, `${name}/control`, HEALTH_PORT));
        places.set(`etcd of ${name}`, await dumpEtcd(lab, cluster));
      }
      for (const { cluster, member } of labNodes(host.plan)) {
        const place = `${cluster}/${member}`;
        places.set(`metrics of ${place}`, await readPage(lab, place, AGENT_HEALTH_PORT));
      }
      const leaks = [...places].flatMap(([place, content]) =>
        findSecrets(secrets, content).map((secret) => `${secret} stands in ${place}`),
      );
      expect(leaks).toEqual([]);
      expect(places.size).toBeGreaterThan(50);
    },
    LIMIT_MS,
  );

  test("lie in files of mode 0600 below directories of mode 0700", async () => {
    const files = await listTree(lab.home);
    const open = files.filter(({ path, isFile, isDirectory, mode }) => {
      if (isFile && path.endsWith(".key")) return mode !== 0o600;
      return isDirectory && holdsKeys(path, files) && mode !== 0o700;
    });
    expect(open.map(({ path, mode }) => `${path} ${mode.toString(8)}`)).toEqual([]);
  });
});

describe("the examples of every help text", () => {
  test(
    "work on a lab, and answer in JSON where the command can",
    async () => {
      for (const cluster of host.plan.members) await writeService(cluster, CART);
      await answers(["service", "get", "shop/cart", "--node", "east-node1"]);
      const seen = new Set<string>();
      for (const { usage } of COMMANDS) {
        const examples = examplesOf(usage).filter(({ line }) => !seen.has(line));
        for (const { line, json } of examples) {
          seen.add(line);
          const { status, stdout, stderr } = await lab.mesh(wordsForLab(line, host.plan));
          expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({
            line,
            status: 0,
            stderr: "",
          });
          // Events and flows are streams: a document a line.
          const isStream = /^mesh (events|observe)\b/.test(line);
          const documents = isStream ? stdout.split("\n").filter(Boolean) : [stdout];
          if (json)
            expect(() => documents.map((text) => JSON.parse(text) as unknown)).not.toThrow();
        }
      }
    },
    EXAMPLES_LIMIT_MS,
  );
});

describe("SIGSTOP", () => {
  test(
    "of an agent, and SIGCONT: it takes what has changed meanwhile",
    async () => {
      const pids = await pidsOf("west-node1.agent");
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      try {
        const silent = await lab.mesh(["node", "status", "--node", "west-node1"]);
        expect(silent).toMatchObject({ status: 1, stdout: "" });
        expect(silent.stderr).toContain("mesh: error: Cannot ask the agent");
        await writeService(findCluster(host.plan, "west"), { ...CART, name: "late", number: 11 });
      } finally {
        for (const pid of pids) process.kill(pid, "SIGCONT");
      }
      await answers(["service", "get", "shop/late", "--node", "west-node1"]);
      await answers(["node", "status", "--node", "west-node1"]);
    },
    LIMIT_MS,
  );

  test(
    "of an apiserver, and SIGCONT: nothing is deleted, and what has changed arrives",
    async () => {
      mustSucceed(await lab.mesh(["connect", "east", "west"]));
      const before = await serviceNames("west-node1");
      const [apiserver = 0] = await pidsOf("west-control.apiserver", "apiserver/main.ts");
      process.kill(apiserver, "SIGSTOP");
      try {
        const status = await lab.mesh(["status", "--output", "json"]);
        expect(status.status).toBe(1);
        const rows = JSON.parse(status.stdout) as StatusRow[];
        expect(rows.find(({ cluster }) => cluster === "west")?.apiserver).toBeUndefined();
        await writeService(findCluster(host.plan, "west"), { ...CART, name: "later", number: 12 });
        expect(await serviceNames("west-node1")).toEqual(before);
      } finally {
        process.kill(apiserver, "SIGCONT");
      }
      await eventually(
        async () => (await serviceNames("west-node1")).join() === [...before, "later"].join(),
        { limitMs: LIMIT_MS, pollMs: 200 },
      );
      await eventually(async () => (await peersInSync()).includes("west: east north"), {
        limitMs: LIMIT_MS,
        pollMs: 200,
      });
    },
    LIMIT_MS,
  );
});

/** Waits until a command succeeds. */
async function answers(words: readonly string[]): Promise<void> {
  await eventually(async () => mustSucceed(await lab.mesh(words)), {
    limitMs: LIMIT_MS,
    pollMs: 200,
    what: words.join(" "),
  });
}

async function serviceNames(node: string): Promise<string[]> {
  const words = ["service", "list", "--node", node, "--output", "json"];
  const services = JSON.parse(mustSucceed(await lab.mesh(words))) as { name: string }[];
  return services.map(({ name }) => name).sort();
}

async function pidsOf(daemon: string, script = ""): Promise<number[]> {
  const found = labDaemons(host.plan, host.cgroupRoot).find(({ name }) => name === daemon);
  const pids = await listProcesses(found?.cgroup ?? "");
  const words = await Promise.all(pids.map(readProcessWords));
  return pids.filter((_, i) => words[i]?.includes(script));
}

function holdsKeys(directory: string, files: readonly FoundFile[]): boolean {
  return files.some(({ path }) => path.startsWith(`${directory}/`) && path.endsWith(".key"));
}

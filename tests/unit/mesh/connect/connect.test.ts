import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import type { ClusterAccess } from "../../../../mesh/connect/cluster-access.ts";
import {
  connectClusters,
  withLocks,
  type ConnectOptions,
} from "../../../../mesh/connect/connect.ts";
import { createTestCluster, readTree, type TestCluster } from "../../../fakes/cluster.ts";
import { createFactsMaker } from "../../../fakes/cluster-facts.ts";

let clusters: TestCluster[] = [];
let accesses: ClusterAccess[] = [];
const told: string[] = [];
const options: ConnectOptions = {
  dryRun: false,
  clock: systemClock,
  observer: {
    onFindings: (findings) => told.push(`findings ${findings.length}`),
    onPlan: (steps) => told.push(`plan ${steps.length}`),
    onStep: ({ kind }) => told.push(kind),
    onProgress: () => told.push("progress"),
    onRollback: () => told.push("rollback"),
  },
  signal: new AbortController().signal,
  verifyLimitMs: 200,
};

beforeAll(async () => {
  clusters = await Promise.all(
    ["east", "west"].map((name, index) => createTestCluster({ name, id: index + 1 })),
  );
  accesses = await Promise.all(
    clusters.map(async ({ access }, index) => {
      const profile = await access.readProfile();
      const facts = (await createFactsMaker(profile.name, index + 1)).make({ profile });
      const other = index === 0 ? "west" : "east";
      const status = { id: 0, reason: "", heartbeatAgeSeconds: 0, reconnections: 0, kinds: [] };
      return {
        ...access,
        readFacts: () => Promise.resolve(facts),
        readPeers: () =>
          Promise.resolve([{ ...status, name: other, state: "ready", synced: true }]),
      };
    }),
  );
}, 60_000);

afterAll(async () => {
  for (const cluster of clusters) await cluster.close();
});

async function trees() {
  return Promise.all(clusters.map(({ directory }) => readTree(directory)));
}

function outcome(changes: Partial<ConnectOptions>, members = accesses) {
  told.length = 0;
  return connectClusters(members, { ...options, ...changes });
}

describe("connectClusters()", () => {
  test("only plans in a dry run, and does not even lock", async () => {
    const unlock = await accesses[0]?.lock();
    const before = await trees();
    expect(await outcome({ dryRun: true })).toMatchObject({ outcome: "planned" });
    expect(told).toEqual(["findings 0", "plan 4"]);
    expect(await trees()).toEqual(before);
    await unlock?.();
  });

  test("is refused while another command is at it, before anything is read", async () => {
    const unlock = await accesses[1]?.lock();
    await expect(outcome({})).rejects.toMatchObject({ code: "conflict" });
    expect(told).toEqual([]);
    await unlock?.();
  });

  test("refuses on an error of the preflight and writes nothing", async () => {
    const before = await trees();
    const [east] = accesses;
    const twice = east === undefined ? [] : [east, east];
    // One lock for both would block itself; a second way into the same cluster has its own.
    const members = twice.map((access) => ({
      ...access,
      lock: () => Promise.resolve(async () => {}),
    }));
    expect(await outcome({}, members)).toMatchObject({
      outcome: "refused",
      findings: [{ rule: "self" }],
      steps: [],
    });
    expect(await trees()).toEqual(before);
  });

  test("rolls back when verification fails", async () => {
    const before = await trees();
    const deaf = accesses.map((access) => ({ ...access, readPeers: () => Promise.resolve([]) }));
    await expect(outcome({}, deaf)).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(told.at(-1)).toBe("rollback");
    expect(await trees()).toEqual(before);
  });

  test("names the context whose facts cannot be read", async () => {
    const broken = accesses.map((access) => ({
      ...access,
      readFacts: () => Promise.reject(new MeshError("not_found", "no profile")),
    }));
    await expect(outcome({ dryRun: true }, broken)).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot read the facts of context "east"',
    });
  });

  test("connects", async () => {
    expect(await outcome({})).toMatchObject({ outcome: "connected", clusters: ["east", "west"] });
    expect(told.filter((line) => line === "install-peer")).toHaveLength(2);
  });
});

test("withLocks() opens what it has locked when a later one is taken", async () => {
  const seen: string[] = [];
  const access = (name: string, taken: { taken: boolean }): ClusterAccess => ({
    ...(accesses[0] as ClusterAccess),
    lock: () => {
      if (taken.taken) return Promise.reject(new MeshError("conflict", "taken"));
      seen.push(`lock ${name}`);
      return Promise.resolve(async () => {
        seen.push(`unlock ${name}`);
      });
    },
  });
  const members = [access("a", { taken: false }), access("b", { taken: true })];
  const locking = withLocks(members, options.signal, () => Promise.resolve());
  await expect(locking).rejects.toThrow("taken");
  expect(seen).toEqual(["lock a", "unlock a"]);
});

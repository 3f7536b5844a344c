import { afterEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DrillReport } from "../../../../mesh/drill/report.ts";
import { createReportStore, parseReport, startOf } from "../../../../mesh/drill/store.ts";

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function open() {
  const directory = await mkdtemp(join(tmpdir(), "tombolo-drills-"));
  directories.push(directory);
  return { directory, store: createReportStore(join(directory, "drills")) };
}

function report(time: string, change: Partial<DrillReport> = {}): DrillReport {
  return {
    version: 1,
    id: `west-${time}-00ff`,
    name: "west",
    hypothesis: "",
    fault: { kind: "cluster-refuse", cluster: "west", detail: "west" },
    command: "mesh drill run",
    seed: 1,
    software: {},
    definitionDigest: "d",
    clusters: ["east", "west"],
    verdict: "PASS",
    runs: [],
    distributions: {},
    ...change,
  };
}

describe("createReportStore()", () => {
  test("lists by time, finds by id, by name and the latest, and replaces", async () => {
    const { store } = await open();
    expect(await store.list()).toEqual([]);
    const [old, now] = [report("20260101000000"), report("20260201000000")];
    await store.save(now);
    await store.save(old);
    expect((await store.list()).map(({ id }) => id)).toEqual([old.id, now.id]);
    expect(await store.find("west")).toEqual(now);
    expect(await store.find("latest")).toEqual(now);
    await store.save({ ...old, verdict: "FAIL" });
    expect((await store.find(old.id)).verdict).toBe("FAIL");
    await expect(store.find("east")).rejects.toMatchObject({ code: "not_found" });
  });

  test("leaves out what it cannot read", async () => {
    const { directory, store } = await open();
    await store.save(report("20260101000000"));
    await writeFile(join(directory, "drills", "half.json"), '{"version": 1, "id"');
    await writeFile(join(directory, "drills", "newer.json"), '{"version": 2}');
    expect(await store.list()).toHaveLength(1);
  });

  test("saves nothing under an id that leads elsewhere", async () => {
    const { store } = await open();
    const wrong = report("20260101000000", { id: "../west" });
    await expect(store.save(wrong)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("parseReport()", () => {
  for (const text of ["{", "null", "[]", '{"version": 2}', '{"version": 1}']) {
    test(`refuses ${text}`, () => {
      expect(() => parseReport(text, "it")).toThrow(/^Cannot read "it"/);
    });
  }
});

describe("startOf()", () => {
  test("is known from the id for a drill without a run", () => {
    expect(startOf(report("20260102030405"))).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
  });
});

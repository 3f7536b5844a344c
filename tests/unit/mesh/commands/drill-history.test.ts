import { afterEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drillCompareCommand } from "../../../../mesh/commands/drill-compare.ts";
import { fetchReports, openReports } from "../../../../mesh/commands/drill-history.ts";
import { drillListCommand } from "../../../../mesh/commands/drill-list.ts";
import { drillShowCommand } from "../../../../mesh/commands/drill-show.ts";
import type { DrillReport } from "../../../../mesh/drill/report.ts";
import type { OperationsConnection } from "../../../../mesh/operations/connection.ts";
import { runCommand } from "../../../fakes/agent-api.ts";

const homes: string[] = [];
afterEach(async () => {
  for (const home of homes.splice(0)) await rm(home, { recursive: true });
});

async function createHome(...reports: readonly DrillReport[]): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "tombolo-drill-home-"));
  homes.push(home);
  for (const one of reports) await openReports({ home }).save(one);
  return home;
}

function report(time: string, rtoMs: number, verdict: DrillReport["verdict"] = "PASS") {
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
    verdict,
    runs: [],
    distributions: { convergedMs: { p50: rtoMs, p95: rtoMs, max: rtoMs } },
  } satisfies DrillReport;
}

const OLD = report("20260101000000", 400);
const NEW = report("20260201000000", 900, "FAIL");

describe("mesh drill list, show, compare", () => {
  test("say what was run, what was found, and what got worse", async () => {
    const home = await createHome(OLD, NEW);
    const list = await runCommand(drillListCommand, [], { home });
    expect(list.text).toMatch(/west-20260101000000-00ff +2026-01-01T00:00:00 +0 +400 ms .* PASS\n/);
    const trend = ["--trend", "west", "--output", "json"];
    const points = await runCommand(drillListCommand, trend, { home });
    expect(JSON.parse(points.text)).toMatchObject([{ rtoMs: 400 }, { rtoMs: 900 }]);
    const show = await runCommand(drillShowCommand, ["latest"], { home });
    expect(show).toMatchObject({ status: 1, text: expect.stringContaining(NEW.id) });
    const compare = await runCommand(drillCompareCommand, [OLD.id, NEW.id], { home });
    expect(compare.status).toBe(1);
    expect(compare.text).toMatch(/convergedMs p95 +400 +900 +\+125 % +worse/);
    const back = await runCommand(drillCompareCommand, [NEW.id, OLD.id], { home });
    expect(back.status).toBe(0);
  });
});

describe("fetchReports()", () => {
  test("takes over what the stream has, and the end of what has only begun", async () => {
    const begun = { ...OLD, verdict: "INTERRUPTED" } as const;
    const home = await createHome(begun);
    const reports = openReports({ home });
    const messages = [OLD, NEW, { version: 9 }].map((value, sequence) => ({
      subject: "tombolo.drills.east.x",
      data: Buffer.from(JSON.stringify(value)),
      sequence,
      timeMs: 0,
    }));
    const connection = { read: () => Promise.resolve(messages) } as unknown as OperationsConnection;
    await fetchReports(connection, reports, new AbortController().signal);
    expect(await reports.list()).toEqual([OLD, NEW]);
  });
});

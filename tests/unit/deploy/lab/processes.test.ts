import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandLine } from "../../../../apiserver/daemon/process.ts";
import {
  enteringArgv,
  findAliveProcess,
  readAliveProcess,
  readStartTime,
  recordProcess,
} from "../../../../deploy/lab/processes.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-processes-"));
});
afterAll(() => rm(directory, { recursive: true }));

describe("readStartTime()", () => {
  test("is a number for a living process and undefined for none", async () => {
    expect(await readStartTime(process.pid)).toMatch(/^\d+$/);
    expect(await readStartTime(2 ** 22 + 1)).toBeUndefined();
  });
});

describe("readAliveProcess()", () => {
  test("knows a process by pid and start time, so that a reused pid is nobody", async () => {
    const startTime = await readStartTime(process.pid);
    const mine = join(directory, "mine.json");
    await writeFile(mine, JSON.stringify({ pid: process.pid, startTime }));
    expect(await readAliveProcess(mine)).toEqual({ pid: process.pid, startTime });
    const reused = join(directory, "reused.json");
    await writeFile(reused, JSON.stringify({ pid: process.pid, startTime: "1" }));
    expect(await readAliveProcess(reused)).toBeUndefined();
  });

  test("takes a missing or torn record for a process that is gone", async () => {
    const torn = join(directory, "torn.json");
    await writeFile(torn, '{"pid":');
    expect(await readAliveProcess(torn)).toBeUndefined();
    expect(await readAliveProcess(join(directory, "missing.json"))).toBeUndefined();
  });
});

describe("findAliveProcess()", () => {
  test("knows who runs the same words in the same cgroup, when the recorded one is gone", async () => {
    const { pid } = process;
    const argv = (await commandLine(pid)) ?? [];
    const recordFile = join(directory, "daemon.json");
    const spec = { recordFile, cgroup: directory, argv };
    await writeFile(join(directory, "cgroup.procs"), "");
    expect(await findAliveProcess(spec)).toBeUndefined();

    await writeFile(join(directory, "cgroup.procs"), `${2 ** 22 + 1}\n${pid}\n`);
    const found = { pid, startTime: (await readStartTime(pid)) ?? "" };
    expect(await findAliveProcess(spec)).toEqual(found);
    expect(await findAliveProcess({ ...spec, argv: [...argv, "--other"] })).toBeUndefined();

    await writeFile(join(directory, "cgroup.procs"), "");
    await recordProcess(recordFile, found);
    expect(await findAliveProcess(spec)).toEqual(found);
  });
});

describe("enteringArgv()", () => {
  test("passes the command's words on as they are", () => {
    const argv = ["printf", "%s", "a b", "$(c)", "'"];
    const words = enteringArgv({ cgroup: "/cg", namespace: "ns", argv });
    expect(words.slice(-argv.length)).toEqual(argv);
    expect(words).toContain("/cg/cgroup.procs");
    expect(words).toContain("--net=/run/netns/ns");
  });
});

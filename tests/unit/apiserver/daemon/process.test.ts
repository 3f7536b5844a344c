import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { commandLine, findProcess, stopProcess } from "../../../../apiserver/daemon/process.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

/** A shell that ignores SIGTERM, or does not. */
async function startShell(trap: string, mark: string) {
  const child = spawn("sh", ["-c", `${trap} echo on; while :; do read x; done`, mark], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  await once(child.stdout, "data");
  return { child, pid: child.pid ?? 0, exited: once(child, "exit") };
}

describe("commandLine() and findProcess()", () => {
  test("tell a live process by its arguments and nothing of one that has ended", async () => {
    const { child, pid, exited } = await startShell("", "tombolo-mark-a");
    expect((await commandLine(pid))?.at(-1)).toBe("tombolo-mark-a");
    expect(await findProcess((line) => line.at(-1) === "tombolo-mark-a")).toBe(pid);
    child.kill("SIGKILL");
    await exited;
    expect(await commandLine(pid)).toBeUndefined();
    expect(await findProcess((line) => line.at(-1) === "tombolo-mark-a")).toBeUndefined();
  });
});

describe("stopProcess()", () => {
  for (const [what, trap, signal] of [
    ["asks first", "", "SIGTERM"],
    ["kills what does not listen", "trap '' TERM;", "SIGKILL"],
  ] as const) {
    test(what, async () => {
      const { pid, exited } = await startShell(trap, "tombolo-mark-b");
      await stopProcess(pid, {
        isAlive: async () => (await commandLine(pid)) !== undefined,
        graceMs: signal === "SIGTERM" ? 30_000 : 100,
        clock: systemClock,
      });
      expect(await exited).toEqual([null, signal]);
    });
  }
});

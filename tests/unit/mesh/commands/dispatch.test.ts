import { describe, expect, test } from "@jest/globals";
import type { Command, CommandContext } from "../../../../mesh/commands/command.ts";
import { dispatch } from "../../../../mesh/commands/dispatch.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

interface Call {
  readonly name: string;
  readonly args: readonly string[];
}

function setup(): {
  run: (...argv: string[]) => Promise<number>;
  calls: Call[];
  out: () => string;
} {
  const calls: Call[] = [];
  let written = "";
  const command = (name: string): Command => ({
    name,
    summary: `does ${name}`,
    usage: `Usage: mesh ${name}\n`,
    run: (args) => {
      calls.push({ name, args });
      return Promise.resolve(name.length);
    },
  });
  const commands = ["connect", "lab up", "lab", "pki issue", "pki show"].map(command);
  const context = (argv: readonly string[]): CommandContext => ({
    stdout: {
      colour: false,
      write: (text) => {
        written += text;
      },
    },
    stderr: { colour: false, write: () => {} },
    log: silentLogger,
    clock: createFakeClock(),
    random: () => 0,
    home: "/nowhere",
    kubeconfigs: [],
    argv,
    signal: new AbortController().signal,
  });
  return {
    calls,
    out: () => written,
    run: (...argv) => dispatch(commands, argv, context(argv)),
  };
}

describe("dispatch()", () => {
  test("hands a command the words behind its name and returns its status", async () => {
    const { run, calls } = setup();
    expect(await run("connect", "east", "west", "--dry-run")).toBe("connect".length);
    expect(calls).toEqual([{ name: "connect", args: ["east", "west", "--dry-run"] }]);
  });

  test("takes the longest name that matches", async () => {
    const { run, calls } = setup();
    await run("lab", "up", "-x");
    await run("lab", "down");
    expect(calls).toEqual([
      { name: "lab up", args: ["-x"] },
      { name: "lab", args: ["down"] },
    ]);
  });

  for (const argv of [[], ["--help"], ["-h"], ["help"]]) {
    test(`lists the commands for "mesh ${argv.join(" ")}"`, async () => {
      const { run, calls, out } = setup();
      expect(await run(...argv)).toBe(0);
      expect(out()).toContain("  connect    does connect\n  lab up     does lab up\n");
      expect(calls).toEqual([]);
    });
  }

  test("prints a command's usage instead of running it", async () => {
    const { run, calls, out } = setup();
    expect(await run("lab", "up", "--help")).toBe(0);
    expect(out()).toBe("Usage: mesh lab up\n");
    expect(calls).toEqual([]);
  });

  test("leaves --help behind -- to the command that is run inside", async () => {
    const { run, calls } = setup();
    await run("lab", "exec", "--", "curl", "--help");
    expect(calls).toEqual([{ name: "lab", args: ["exec", "--", "curl", "--help"] }]);
  });

  test("lists a family of commands for its name with --help", async () => {
    const { run, out } = setup();
    expect(await run("pki", "--help")).toBe(0);
    expect(out()).toContain("pki issue");
    expect(out()).not.toContain("connect");
  });

  test("refuses a word that is missing from a family, and names the others", async () => {
    const { run } = setup();
    await expect(run("pki", "burn")).rejects.toMatchObject({
      code: "invalid_argument",
      message: 'Cannot run "mesh pki burn": want one of issue, show',
    });
  });

  test("refuses a command that there is not, with a hint", async () => {
    const { run } = setup();
    await expect(run("conect")).rejects.toMatchObject({
      code: "invalid_argument",
      message: 'Cannot run "mesh conect": there is no such command',
      hint: "`mesh --help` lists them",
    });
  });
});

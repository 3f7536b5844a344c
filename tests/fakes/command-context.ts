// A command's surroundings for tests: output kept as text, a home of its own.
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { CommandContext } from "../../mesh/commands/command.ts";

export interface TestContext extends CommandContext {
  readonly out: () => string;
  readonly err: () => string;
}

export function createTestContext(home: string): TestContext {
  const said = { out: "", err: "" };
  return {
    stdout: { write: (text) => void (said.out += text), colour: false },
    stderr: { write: (text) => void (said.err += text), colour: false },
    log: silentLogger,
    clock: systemClock,
    random: Math.random,
    home,
    kubeconfigs: [],
    argv: [],
    signal: new AbortController().signal,
    out: () => said.out,
    err: () => said.err,
  };
}

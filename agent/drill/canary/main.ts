// The canary program: a child of the agent in the pods' cgroup, so that its calls are balanced as
// pods' calls are. It takes its orders from standard input and ends when they are carried out, or
// when its parent is gone, which closes standard input however the parent died.
import { createInterface } from "node:readline";
import { systemClock } from "../../../mesh/core/clock.ts";
import { messageFromError } from "../../../mesh/core/errors.ts";
import { startAttempt } from "./attempt.ts";
import { openKept } from "./kept.ts";
import type { CanaryCommand } from "./messages.ts";
import { createRunner, type Runner } from "./runner.ts";

const abort = new AbortController();
let runner: Runner | undefined;

function obey(command: CanaryCommand): void {
  if (command.tell === "stop") {
    runner?.stop();
  } else if (command.tell === "renew") {
    runner?.renew(command.ttlMs);
  } else {
    runner = createRunner({
      ...command,
      startAttempt,
      openKept,
      report: (report) => void process.stdout.write(`${JSON.stringify(report)}\n`),
      backlog: () => process.stdout.writableLength,
      clock: systemClock,
    });
    void runner.run(abort.signal).then(finish, fail);
  }
}

/** What was reported is on its way first. */
function finish(): void {
  process.stdout.end(() => process.exit(0));
}

function fail(error: unknown): void {
  process.stderr.write(`${messageFromError(error)}\n`);
  process.exit(1);
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => obey(JSON.parse(line) as CanaryCommand));
lines.on("close", () => process.exit(0));
// The parent is gone, and nobody reads: the end of standard input says so too.
process.stdout.on("error", () => process.exit(0));
// Ctrl-C in a terminal reaches the whole group; the parent decides when this program ends.
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => runner?.stop());

import { describe, expect, test } from "@jest/globals";
import { labPodAdd, labPodDelete } from "../../../../mesh/commands/lab-pod.ts";
import { labExec } from "../../../../mesh/commands/lab-exec.ts";
import type { CommandContext } from "../../../../mesh/commands/command.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";

const output = { write: () => {}, colour: false };
const context: CommandContext = {
  stdout: output,
  stderr: output,
  log: silentLogger,
  clock: systemClock,
  random: () => 0,
  home: "/nowhere",
  kubeconfigs: [],
  argv: [],
  signal: new AbortController().signal,
};

describe("mesh lab pod", () => {
  for (const [command, args, message] of [
    [labPodAdd, ["east/cart"], 'Cannot use "east/cart" as pod: want CLUSTER/NAMESPACE/POD'],
    [labPodAdd, ["e/s/c", "--port", "0"], 'Cannot use "0" as port: want 1 to 65535'],
    [labPodAdd, ["e/s/c", "--label", "=x"], 'Cannot use "=x" as label: want KEY=VALUE'],
    [labPodAdd, ["e/s/c", "--output", "xml"], 'Cannot use --output "xml"'],
    [labPodDelete, ["e/s/c", "--grace", "-1"], "Option '--grace' argument is ambiguous"],
    [labPodDelete, ["e/s/c", "--grace=soon"], 'Cannot use "soon" as grace: want 0 to 300 seconds'],
    [labExec, ["e/s/c"], 'Cannot run "mesh lab exec": no command behind "--"'],
    [labExec, ["--", "ls"], "want 1 besides flags, got none"],
  ] as const) {
    test(`${command.name} ${args.join(" ")} is refused before anything is looked at`, async () => {
      await expect(command.run(args, context)).rejects.toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      });
    });
  }

  test("add says how to make a lab when there is none", async () => {
    await expect(labPodAdd.run(["e/s/c"], context)).rejects.toMatchObject({
      code: "not_found",
      hint: "`mesh lab up` makes it",
    });
  });
});

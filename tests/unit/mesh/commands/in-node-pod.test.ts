import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inNodePod } from "../../../../mesh/commands/in-node-pod.ts";
import type { Command } from "../../../../mesh/commands/command.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-in-node-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const calls: (readonly string[])[] = [];
const command: Command = {
  name: "node status",
  summary: "",
  usage: "Usage: mesh node status\n\nExamples:\n  mesh node status\n",
  run: (args) => {
    calls.push(args);
    return Promise.resolve(7);
  },
};

describe("inNodePod()", () => {
  test("changes nothing of a command that names no context", async () => {
    const args = ["--node", "n1", "--output", "json"];
    expect(await inNodePod(command).run(args, createTestContext(home))).toBe(7);
    expect(calls).toEqual([args]);
  });

  test("explains itself before the examples", () => {
    expect(inNodePod(command).usage).toMatch(/--context NAME [^]*Examples:\n {2}mesh node status/);
  });

  test("wants a node, and a cluster that has pods", async () => {
    const context = createTestContext(home);
    await writeContext(home, { name: "east", directory: "/x", networkNamespace: undefined });
    await expect(inNodePod(command).run(["--context", "east"], context)).rejects.toMatchObject({
      code: "invalid_argument",
      message: "Cannot choose a node: want --context with --node",
    });
    const args = ["--context", "east", "--node", "n1"];
    await expect(inNodePod(command).run(args, context)).rejects.toMatchObject({
      code: "invalid_argument",
      message: 'Cannot look at nodes of context "east": it is no Kubernetes cluster',
    });
  });

  test("follows nothing: the output comes when the command has ended", async () => {
    const args = ["--context", "east", "--node", "n1", "--follow"];
    const run = inNodePod(command).run(args, createTestContext(home));
    await expect(run).rejects.toMatchObject({
      code: "unsupported",
      hint: "run `mesh node status --follow` in the agent's container itself",
    });
  });
});

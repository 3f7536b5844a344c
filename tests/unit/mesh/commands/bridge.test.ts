import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { bridgeCommand } from "../../../../mesh/commands/bridge.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

let home = "";

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-bridge-"));
});

afterAll(() => rm(home, { recursive: true, force: true }));

describe("mesh bridge", () => {
  const streams = () => ({ input: new PassThrough(), output: new PassThrough() });
  const run = (...words: string[]) =>
    bridgeCommand.run(words, { ...createTestContext(home), streams });

  test("wants one cluster of this machine that has an operations plane", async () => {
    await expect(run()).rejects.toThrow("Cannot choose a context: want --context NAME");
    const directory = join(home, "east");
    await writeContext(home, { name: "east", directory, networkNamespace: undefined });
    await expect(run()).rejects.toThrow(`Cannot find the operations plane of "${directory}"`);
    await writeContext(home, {
      name: "cloud",
      kubeconfig: "none",
      kubeContext: undefined,
      namespace: undefined,
      networkNamespace: undefined,
    });
    await expect(run("--context", "cloud")).rejects.toThrow(
      'Cannot bridge to context "cloud": it is no cluster of this machine',
    );
  });

  test("takes no words, and has nothing to do without streams", async () => {
    await expect(run("east")).rejects.toThrow('Cannot use "east": want flags only');
    await expect(bridgeCommand.run([], createTestContext(home))).rejects.toThrow(
      "Cannot bridge: there are no standard streams",
    );
  });
});

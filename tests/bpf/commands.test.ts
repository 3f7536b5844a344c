// `mesh bpf ...` over the real maps of a datapath that another process might have left.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { openDatapath } from "../../bpf/datapath.ts";
import { COMMANDS } from "../../mesh/commands/registry.ts";
import { dispatch } from "../../mesh/commands/dispatch.ts";
import type { CommandContext } from "../../mesh/commands/command.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createScratch, type Scratch, SLOW_MACHINE_MS } from "./scratch.ts";
import { putService } from "./service-rows.ts";

jest.setTimeout(SLOW_MACHINE_MS);

let scratch: Scratch;

beforeAll(async () => {
  scratch = await createScratch();
  using datapath = openDatapath(scratch);
  putService(datapath.maps, {
    id: 1,
    host: "10.96.0.1",
    port: 80,
    protocol: "tcp",
    groups: [{ clusterId: 3, backends: [{ host: "10.1.0.2", port: 8080 }] }],
  });
});

afterAll(async () => {
  await scratch?.[Symbol.asyncDispose]();
});

async function mesh(...argv: string[]): Promise<string> {
  let text = "";
  const output = { write: (part: string) => void (text += part), colour: false };
  const silent = (): void => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const context: CommandContext = {
    stdout: output,
    stderr: output,
    log: { ...log, with: () => context.log },
    clock: systemClock,
    random: () => 0,
    home: scratch.bpfRoot,
    kubeconfigs: [],
    argv,
    signal: new AbortController().signal,
  };
  expect(await dispatch(COMMANDS, argv, context)).toBe(0);
  return text;
}

describe("mesh bpf", () => {
  for (const [name, row] of [
    ["services", /^ 1 +10\.96\.0\.1:80 +tcp +none +3 +0 +1 +10\.1\.0\.2:8080$/m],
    ["ipcache", /^PREFIX +IDENTITY +CLUSTER +TUNNEL ENDPOINT$/m],
    ["clusters", /^ +3 +healthy +0% +0% +- +1$/m],
    ["drops", /^drop +no-usable-cluster +0$/m],
  ] as const) {
    test(`${name} shows the node's maps, as table and as JSON`, async () => {
      expect(await mesh("bpf", name, "--bpf-root", scratch.bpfRoot)).toMatch(row);
      const json = await mesh("bpf", name, "--bpf-root", scratch.bpfRoot, "--output", "json");
      expect(Array.isArray(JSON.parse(json))).toBe(true);
    });
  }

  test("says that nothing is pinned", async () => {
    await expect(mesh("bpf", "drops", "--bpf-root", "/nowhere")).rejects.toThrow(
      'Cannot open "/nowhere/maps/services": nothing is pinned there',
    );
  });
});

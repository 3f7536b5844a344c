import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeStatusCommand } from "../../../../mesh/commands/node-status.ts";
import { runCommand } from "../../../fakes/agent-api.ts";

describe("askAgent()", () => {
  let home: string;
  const ask = (...args: string[]) => runCommand(nodeStatusCommand, args, { home });

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "tombolo-home-"));
  });
  afterEach(() => rm(home, { recursive: true }));
  const addNode = async (name: string, content: object): Promise<void> => {
    await mkdir(join(home, "nodes"), { recursive: true });
    await writeFile(join(home, "nodes", `${name}.json`), JSON.stringify(content));
  };

  test("asks for a node when there is none or more than one", async () => {
    await expect(ask()).rejects.toThrow("want --node NAME or --socket PATH");
    await addNode("east-1", { socket: "/x" });
    await addNode("east-2", { socket: "/y" });
    await expect(ask()).rejects.toMatchObject({ hint: "there are: east-1, east-2" });
    await expect(ask("--node", "west-1")).rejects.toMatchObject({ code: "not_found" });
    await expect(ask("--node", "../secret")).rejects.toMatchObject({ code: "not_found" });
  });

  test("refuses --node with --socket", async () => {
    await expect(ask("--node", "a", "--socket", "/b")).rejects.toThrow(
      "Cannot use --node and --socket together",
    );
  });

  test("names the file that has no socket in it", async () => {
    await addNode("east-1", { bpfRoot: "/x" });
    await expect(ask()).rejects.toThrow(join(home, "nodes", "east-1.json"));
  });

  test("says that the agent does not answer, and what works without it", async () => {
    await expect(ask("--socket", join(home, "none.sock"))).rejects.toMatchObject({
      code: "unavailable",
      hint: expect.stringContaining("mesh bpf services"),
    });
  });
});

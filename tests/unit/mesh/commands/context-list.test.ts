import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { contextListCommand } from "../../../../mesh/commands/context-list.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-context-list-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function run(...args: string[]): Promise<{ status: number; out: string; talk: string }> {
  let out = "";
  let talk = "";
  const status = await contextListCommand.run(args, {
    stdout: {
      colour: false,
      write: (text) => {
        out += text;
      },
    },
    stderr: {
      colour: false,
      write: (text) => {
        talk += text;
      },
    },
    log: silentLogger,
    clock: createFakeClock(),
    random: () => 0,
    home,
    kubeconfigs: [],
    argv: ["context", "list", ...args],
    signal: new AbortController().signal,
  });
  return { status, out, talk };
}

async function makeCluster(name: string, id: number): Promise<void> {
  const directory = join(home, name);
  await mkdir(directory);
  await writeFile(
    join(directory, "cluster.json"),
    JSON.stringify({
      name,
      id,
      etcdEndpoints: [`https://10.0.0.${id}:2379`],
      joinEndpoint: `10.0.0.${id}:7443`,
    }),
  );
  await writeContext(home, { name, directory, networkNamespace: "/run/netns/router" });
}

describe("mesh context list", () => {
  test("lists contexts with what their directories say", async () => {
    await makeCluster("west", 2);
    await makeCluster("east", 1);
    const { status, out, talk } = await run();
    expect(status).toBe(0);
    expect(talk).toBe("");
    expect(out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["CONTEXT", "ID", "KIND", "WHERE", "NETWORK", "PROBLEM"],
      ["east", "1", "directory", join(home, "east"), "/run/netns/router", "none"],
      ["west", "2", "directory", join(home, "west"), "/run/netns/router", "none"],
      [""],
    ]);
  });

  test("prints the same as JSON", async () => {
    await makeCluster("east", 1);
    const { out } = await run("--output", "json");
    expect(JSON.parse(out)).toEqual([
      {
        name: "east",
        kind: "directory",
        clusterId: 1,
        etcdEndpoints: ["https://10.0.0.1:2379"],
        directory: join(home, "east"),
        kubeconfig: null,
        kubeContext: null,
        networkNamespace: "/run/netns/router",
        problem: null,
      },
    ]);
  });

  test("shows the problem of a broken context beside the others", async () => {
    await makeCluster("east", 1);
    await writeContext(home, { name: "gone", directory: "/nowhere", networkNamespace: undefined });
    await writeContext(home, {
      name: "west",
      directory: join(home, "east"),
      networkNamespace: undefined,
    });
    await writeFile(join(home, "contexts", "broken.json"), "{");
    const { status, out } = await run("--output", "json");
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject([
      { name: "broken", directory: null, problem: expect.stringContaining("broken.json") },
      { name: "east", problem: null },
      { name: "gone", clusterId: null, problem: expect.stringContaining("/nowhere/cluster.json") },
      { name: "west", problem: 'the directory holds cluster "east", want "west"' },
    ]);
  });

  test("says how to get a context where there is none", async () => {
    expect(await run("--output", "json")).toEqual({
      status: 0,
      out: "[]\n",
      talk: "mesh: there is no context yet; `mesh lab up` makes two\n",
    });
  });

  for (const args of [["east"], ["--all"], ["--output", "yaml"]]) {
    test(`refuses "${args.join(" ")}"`, async () => {
      await expect(run(...args)).rejects.toMatchObject({ code: "invalid_argument" });
    });
  }
});

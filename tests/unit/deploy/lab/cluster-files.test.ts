import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checkContexts,
  readLabOwner,
  readLabSize,
  removeLabFiles,
} from "../../../../deploy/lab/cluster-files.ts";
import { planLab } from "../../../../deploy/lab/plan.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";

let home: string;
const size = { name: "unit", clusters: ["east"], nodesPerCluster: 1 };

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-lab-files-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe("checkContexts()", () => {
  test("refuses a cluster whose context leads elsewhere", async () => {
    const plan = planLab(size, home);
    await expect(checkContexts(plan)).resolves.toBeUndefined();
    await writeContext(home, { name: "east", directory: "/other", networkNamespace: undefined });
    await expect(checkContexts(plan)).rejects.toMatchObject({ code: "conflict" });
  });
});

describe("readLabSize()", () => {
  test("is undefined without a record and says so when it is broken", async () => {
    const { paths } = planLab(size, home);
    expect(await readLabSize(paths)).toBeUndefined();
    await mkdir(paths.root, { recursive: true });
    await writeFile(paths.record, JSON.stringify(size));
    expect(await readLabSize(paths)).toEqual(size);
    await writeFile(paths.record, "{");
    await expect(readLabSize(paths)).rejects.toMatchObject({ code: "data_loss" });
  });
});

describe("readLabOwner()", () => {
  test("takes a torn record for none", async () => {
    const paths = { ...planLab(size, home).paths, owner: join(home, "owner.json") };
    expect(await readLabOwner(paths)).toBeUndefined();
    await writeFile(paths.owner, '{"home":');
    expect(await readLabOwner(paths)).toBeUndefined();
    await writeFile(paths.owner, '{"home":"/x"}');
    expect(await readLabOwner(paths)).toBe("/x");
  });
});

describe("removeLabFiles()", () => {
  test("removes what leads into the lab and nothing else, twice", async () => {
    const plan = planLab(size, home);
    const paths = { ...plan.paths, runtime: join(home, "runtime") };
    for (const directory of [paths.root, paths.runtime, join(home, "nodes")]) {
      await mkdir(directory, { recursive: true });
    }
    const directory = plan.members[0]?.directory ?? "";
    await writeContext(home, { name: "east", directory, networkNamespace: undefined });
    await writeContext(home, { name: "other", directory: "/other", networkNamespace: undefined });
    await writeFile(
      join(home, "nodes", "east-node1.json"),
      JSON.stringify({ socket: `${paths.root}/nodes/east-node1/agent.sock` }),
    );
    for (const _ of [1, 2]) await removeLabFiles(paths);
    expect(await readdir(home)).toEqual(["contexts"]);
    expect(await readdir(join(home, "contexts"))).toEqual(["other.json"]);
  });

  test("removes the home too when nothing is left in it", async () => {
    const { paths } = planLab(size, join(home, "own"));
    await mkdir(paths.root, { recursive: true });
    await removeLabFiles({ ...paths, runtime: join(home, "runtime", "x") });
    expect(await readdir(home)).toEqual([]);
  });
});

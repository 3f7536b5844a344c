import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeJson } from "../../../../deploy/lab/json-file.ts";
import { planLab } from "../../../../deploy/lab/plan.ts";
import { checkNameIsOurs, checkOwner } from "../../../../deploy/lab/preflight.ts";

let home: string;
const size = { name: `unit${process.pid}`, clusters: ["east"], nodesPerCluster: 1 };

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-preflight-"));
});
afterEach(() => rm(home, { recursive: true }));

/** Nothing is read from the machine's own /run. */
function plan() {
  const planned = planLab(size, home);
  return { ...planned, paths: { ...planned.paths, owner: join(home, "owner.json") } };
}

describe("checkOwner()", () => {
  test("refuses a lab that was made from another home, and says which", async () => {
    await expect(checkOwner(plan())).resolves.toBeUndefined();
    await writeJson(plan().paths.owner, { home });
    await expect(checkOwner(plan())).resolves.toBeUndefined();
    await writeJson(plan().paths.owner, { home: "/other" });
    await expect(checkOwner(plan())).rejects.toMatchObject({
      code: "conflict",
      hint: "set TOMBOLO_HOME=/other, or choose another --name",
    });
  });
});

describe("checkNameIsOurs()", () => {
  const cgroup = "/sys/fs/cgroup/tombolo-that-is-not-there";

  test("lets a new lab and the same lab pass", async () => {
    await expect(checkNameIsOurs(plan(), cgroup)).resolves.toBeUndefined();
    await writeJson(plan().paths.record, size);
    await expect(checkNameIsOurs(plan(), cgroup)).resolves.toBeUndefined();
  });

  test("refuses to make another lab of a lab that is there", async () => {
    await writeJson(plan().paths.record, { ...size, nodesPerCluster: 3 });
    await expect(checkNameIsOurs(plan(), cgroup)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("it is there with clusters east and 3 nodes each"),
    });
  });
});

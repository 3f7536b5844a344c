import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  deleteContext,
  isKubernetesContext,
  listContexts,
  readContext,
  writeContext,
} from "../../../../mesh/contexts/contexts.ts";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-contexts-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const EAST = {
  name: "east",
  directory: "/srv/east",
  networkNamespace: "/run/netns/router",
};

describe("readContext()", () => {
  test("reads back what writeContext() wrote, in a file for its owner only", async () => {
    await writeContext(home, EAST);
    expect(await readContext(home, "east")).toEqual(EAST);
    const { mode } = await stat(join(home, "contexts", "east.json"));
    expect(mode & 0o777).toBe(0o600);
  });

  test("reads a context without a namespace", async () => {
    await writeContext(home, { ...EAST, networkNamespace: undefined });
    expect(await readContext(home, "east")).toEqual({ ...EAST, networkNamespace: undefined });
  });

  test("reads contexts of a Kubernetes API, with what they may leave out", async () => {
    const whole = {
      name: "north",
      kubeconfig: "/srv/kubeconfig",
      kubeContext: "admin@north",
      namespace: "mesh",
      networkNamespace: "/run/netns/router",
    };
    await writeContext(home, whole);
    const read = await readContext(home, "north");
    expect(read).toEqual(whole);
    expect(isKubernetesContext(read)).toBe(true);
    await writeFile(join(home, "contexts", "south.json"), '{"kubeconfig":"/srv/kubeconfig"}');
    expect(await readContext(home, "south")).toEqual({
      name: "south",
      kubeconfig: "/srv/kubeconfig",
      kubeContext: undefined,
      namespace: undefined,
      networkNamespace: undefined,
    });
  });

  test("names the contexts that there are", async () => {
    await writeContext(home, EAST);
    await writeContext(home, { ...EAST, name: "west" });
    await expect(readContext(home, "north")).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot find context "north"',
      hint: "there are: east, west",
    });
  });

  test("says how to get one where there is none", async () => {
    await expect(readContext(home, "east")).rejects.toMatchObject({
      hint: "there is none yet; `mesh lab up` makes two",
    });
  });

  for (const name of ["../east", "", "East", "a/b"]) {
    test(`refuses the name ${JSON.stringify(name)}`, async () => {
      await expect(readContext(home, name)).rejects.toMatchObject({ code: "invalid_argument" });
    });
  }

  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"directory":7}',
    '{"directory":"/x","networkNamespace":7}',
    '{"directory":"/x","kubeconfig":"/y"}',
    '{"kubeconfig":7}',
    '{"kubeconfig":"/y","kubeContext":7}',
    '{"kubeconfig":"/y","namespace":7}',
  ]) {
    test(`refuses a file that holds ${JSON.stringify(text)} and names it`, async () => {
      await writeContext(home, EAST);
      await writeFile(join(home, "contexts", "east.json"), text);
      await expect(readContext(home, "east")).rejects.toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining(join(home, "contexts", "east.json")),
      });
    });
  }
});

describe("listContexts()", () => {
  test("lists names in order, and nothing where there is no directory", async () => {
    expect(await listContexts(home)).toEqual([]);
    await writeContext(home, { ...EAST, name: "west" });
    await writeContext(home, EAST);
    await writeFile(join(home, "contexts", "notes.txt"), "");
    expect(await listContexts(home)).toEqual(["east", "west"]);
  });
});

describe("deleteContext()", () => {
  test("removes a context, and is content when there is none", async () => {
    await writeContext(home, EAST);
    await deleteContext(home, "east");
    await deleteContext(home, "east");
    expect(await listContexts(home)).toEqual([]);
  });
});

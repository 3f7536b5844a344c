import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { createLastGood } from "../../../../../apiserver/source/manifests/last-good.ts";

describe("createLastGood()", () => {
  test("keeps the last text of each file until it is removed", async () => {
    const root = await mkdtemp(join(tmpdir(), "tombolo-as-good-"));
    const lastGood = createLastGood(join(root, "last-good"));
    expect(await lastGood.files()).toEqual([]);
    await lastGood.write("a.yaml", "one");
    await lastGood.write("a.yaml", "two");
    expect(await lastGood.read("a.yaml")).toBe("two");
    expect(await lastGood.read("b.yaml")).toBeUndefined();
    expect(await lastGood.files()).toEqual(["a.yaml"]);
    await lastGood.remove("a.yaml");
    await lastGood.remove("a.yaml");
    expect(await lastGood.files()).toEqual([]);
    await rm(root, { recursive: true });
  });
});

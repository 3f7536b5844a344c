import { describe, expect, test } from "@jest/globals";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeJson } from "../../../../deploy/lab/json-file.ts";

describe("writeJson()", () => {
  test("lets many write at once, for root only, and leaves one whole file", async () => {
    const directory = await mkdtemp(join(tmpdir(), "tombolo-json-"));
    const path = join(directory, "a.json");
    await Promise.all(Array.from({ length: 20 }, (_, n) => writeJson(path, { n })));
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ n: expect.any(Number) });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["a.json"]);
    await rm(directory, { recursive: true });
  });
});

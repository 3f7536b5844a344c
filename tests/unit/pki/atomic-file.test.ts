import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { syncDirectory, writeFileAtomic } from "../../../pki/atomic-file.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-cn-atomic-"));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe("writeFileAtomic()", () => {
  test("makes the directory, sets the mode, leaves nothing else behind", async () => {
    const path = join(directory, "a/b/secret.key");
    await writeFileAtomic(path, "secret", { mode: 0o600 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "a"))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(directory, "a/b"))).toEqual(["secret.key"]);
  });

  test("narrows the mode of a file that was open to all", async () => {
    const path = join(directory, "secret.key");
    await writeFile(path, "old", { mode: 0o666 });
    await writeFileAtomic(path, "new", { mode: 0o600 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("replaces a link and does not write through it", async () => {
    const [target, path] = [join(directory, "target"), join(directory, "link")];
    await writeFile(target, "precious");
    await symlink(target, path);
    await writeFileAtomic(path, "new", { mode: 0o644 });
    expect(await readFile(target, "utf8")).toBe("precious");
    expect(await readFile(path, "utf8")).toBe("new");
  });

  test("leaves the old file and no temporary one when it fails", async () => {
    const path = join(directory, "taken");
    await mkdir(join(path, "child"), { recursive: true });
    await expect(writeFileAtomic(path, "new", { mode: 0o644 })).rejects.toThrow();
    expect(await readdir(directory)).toEqual(["taken"]);
  });
});

test("syncDirectory() rejects for what is not there", async () => {
  await expect(syncDirectory(join(directory, "absent"))).rejects.toMatchObject({ code: "ENOENT" });
});

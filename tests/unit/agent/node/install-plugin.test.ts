import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import {
  encodeScript,
  installPlugin,
  uninstallPlugin,
} from "../../../../agent/node/install-plugin.ts";

describe("installPlugin()", () => {
  let directory: string;
  const place = () => ({
    hostRoot: join(directory, "opt"),
    hostRootOnHost: join(directory, "opt"),
    binaryDirectory: join(directory, "cni"),
  });
  const install = () =>
    installPlugin({
      source: join(directory, "image"),
      version: "1.2.3",
      cni: place(),
      log: silentLogger,
    });
  const call = (): string =>
    execFileSync(join(directory, "cni", "tombolo-cni"), ["word"], { encoding: "utf8" });
  const writeImage = async (says: string): Promise<void> => {
    const bin = join(directory, "image", "bin");
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, "tombolo-cni"), `#!/bin/sh\necho ${says} "$1"\n`);
    await chmod(join(bin, "tombolo-cni"), 0o755);
  };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tombolo-install-"));
    await writeImage("first");
    await symlink("bin/tombolo-cni", join(directory, "image", "link"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  test("copies the image's plugin and makes the script that calls it", async () => {
    const name = await install();
    expect(name).toMatch(/^1\.2\.3-[0-9a-f]{12}$/);
    expect(call()).toBe("first word\n");
    expect(await readdir(join(directory, "opt", name))).toEqual(["bin", "link"]);
    expect(await install()).toBe(name);
    expect(await readdir(join(directory, "opt"))).toEqual([name]);
  });

  test("keeps the version before for calls that are under way, and no older one", async () => {
    const first = await install();
    await writeImage("second");
    const second = await install();
    expect(call()).toBe("second word\n");
    expect((await readdir(join(directory, "opt"))).sort()).toEqual([first, second].sort());
    await writeImage("third");
    const third = await install();
    expect((await readdir(join(directory, "opt"))).sort()).toEqual([second, third].sort());
  });

  test("replaces a copy that was damaged, and what was left unfinished", async () => {
    const name = await install();
    await writeFile(join(directory, "opt", name, "bin", "tombolo-cni"), "");
    await mkdir(join(directory, "opt", ".tombolo-half"));
    expect(await install()).toBe(name);
    expect(call()).toBe("first word\n");
    expect(await readdir(join(directory, "opt"))).toEqual([name]);
  });

  test("says what is missing in an image without the plugin", async () => {
    await rm(join(directory, "image"), { recursive: true });
    await expect(install()).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("bin/tombolo-cni"),
    });
  });

  test("uninstallPlugin() leaves nothing, and finds nothing the second time", async () => {
    await install();
    await uninstallPlugin(place());
    await uninstallPlugin(place());
    expect(await readdir(join(directory, "opt"))).toEqual([]);
    expect(await readdir(join(directory, "cni"))).toEqual([]);
  });
});

describe("encodeScript()", () => {
  test("calls the path as the node knows it", () => {
    expect(encodeScript("/opt/tombolo/1-a/bin/tombolo-cni")).toContain(
      'exec "/opt/tombolo/1-a/bin/tombolo-cni" "$@"',
    );
  });
});

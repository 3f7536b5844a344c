import { expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { makeLabImage } from "../../../../deploy/images/lab-image.ts";

const BUSYBOX = { content: Buffer.from("program"), list: "busybox\nwget\nsh\n", arch: "x64" };

function extract(archive: Buffer, path: string): Buffer {
  return spawnSync("tar", ["-xOf", "-", path], { input: archive }).stdout;
}

test("is an archive whose manifest leads to a layer that matches its configuration", () => {
  const image = makeLabImage(BUSYBOX);
  const [manifest] = JSON.parse(extract(image.archive, "manifest.json").toString()) as {
    Config: string;
    RepoTags: string[];
    Layers: string[];
  }[];
  expect(manifest?.RepoTags).toEqual([image.name]);
  const config = JSON.parse(extract(image.archive, manifest?.Config ?? "").toString()) as {
    architecture: string;
    rootfs: { diff_ids: string[] };
  };
  const layer = extract(image.archive, manifest?.Layers[0] ?? "");
  const digest = createHash("sha256").update(layer).digest("hex");
  expect(config.architecture).toBe("amd64");
  expect(config.rootfs.diff_ids).toEqual([`sha256:${digest}`]);
  expect(extract(layer, "bin/busybox").toString()).toBe("program");
  const listed = spawnSync("tar", ["-tf", "-"], { input: layer, encoding: "utf8" }).stdout;
  expect(listed).toContain("bin/sh\nbin/wget\n");
});

test("has the same name and bytes for the same busybox, another for another", () => {
  const image = makeLabImage(BUSYBOX);
  expect(makeLabImage(BUSYBOX)).toEqual(image);
  const other = makeLabImage({ ...BUSYBOX, content: Buffer.from("newer") });
  expect(other.name).not.toBe(image.name);
});

test("refuses a busybox without a shell, and machines that it has no name for", () => {
  expect(() => makeLabImage({ ...BUSYBOX, list: "wget\n" })).toThrow("has no shell");
  expect(() => makeLabImage({ ...BUSYBOX, arch: "mips" })).toThrow('"mips" is not supported');
});

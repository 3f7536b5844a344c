import { expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { encodeTar } from "../../../../deploy/images/tar.ts";

const ARCHIVE = encodeTar([
  { kind: "directory", path: "bin", mode: 0o755 },
  { kind: "file", path: "bin/sh", mode: 0o755, content: Buffer.from("hello") },
  { kind: "link", path: "bin/wget", target: "sh" },
  { kind: "file", path: "empty", mode: 0o644, content: new Uint8Array() },
]);

test("is what tar reads: kinds, modes, owner, sizes, links", () => {
  const { stdout, stderr } = spawnSync("tar", ["-tvf", "-", "--numeric-owner"], {
    input: ARCHIVE,
    encoding: "utf8",
    env: { TZ: "UTC", PATH: "/usr/bin:/bin" },
  });
  expect(stderr).toBe("");
  expect(stdout.replaceAll(/ +/g, " ").trimEnd().split("\n")).toEqual([
    "drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/",
    "-rwxr-xr-x 0/0 5 1970-01-01 00:00 bin/sh",
    "lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/wget -> sh",
    "-rw-r--r-- 0/0 0 1970-01-01 00:00 empty",
  ]);
});

test("keeps contents byte for byte", () => {
  const { stdout } = spawnSync("tar", ["-xOf", "-", "bin/sh"], { input: ARCHIVE });
  expect(stdout.toString()).toBe("hello");
});

test("refuses a name that has no room, rather than cutting it", () => {
  const path = "x".repeat(101);
  expect(() => encodeTar([{ kind: "directory", path, mode: 0o755 }])).toThrow("too long");
});

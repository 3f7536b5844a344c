import { describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { mountScript } from "../../../../../deploy/lab/kubernetes/mounts.ts";

const script = mountScript({
  disk: "/home/it's/disk",
  kept: ["/home/it's"],
  cgroups: [{ root: "/sys/fs/cgroup/unified", directory: "/sys/fs/cgroup/unified/lab/node" }],
});

describe("mountScript()", () => {
  test("is a shell script, also for paths with quotes", () => {
    const { status, stderr } = spawnSync("sh", ["-n"], { input: script, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(script).toContain("'/home/it'\\''s/disk/own/var/lib'");
  });

  test("shares mounts only once they are all made, and ends at the first that fails", () => {
    const lines = script.trimEnd().split("\n");
    expect(lines[0]).toBe("set -eu");
    expect(lines.at(-1)).toBe("mount --make-rshared /");
  });

  test("takes the machine's cgroups away before it puts the node's in their place", () => {
    const away = script.indexOf("umount -l '/sys/fs/cgroup/unified'");
    const back = script.indexOf("mount --move /run/cgroup '/sys/fs/cgroup/unified'");
    expect(away).toBeGreaterThan(0);
    expect(back).toBeGreaterThan(away);
  });
});

import { describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../../sources.ts";

/** Runs a line of shell with packages.sh at hand and a list of packages of the test's own. */
function runWithList(list: string, line: string): string[] {
  const directory = mkdtempSync(join(tmpdir(), "tombolo-packages-"));
  try {
    const file = join(directory, "list.txt");
    writeFileSync(file, list);
    const script = `set -eu; . ./deploy/setup/packages.sh; package_lists=${file}; ${line}`;
    const { stdout, stderr, status } = spawnSync("sh", ["-c", script], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.split("\n").filter((name) => name !== "");
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("the list of packages", () => {
  test("wants every package of it, whatever its comments say", () => {
    const list = "# a comment of words\netcd-server  the state plane\nmake         builds\n";
    expect(runWithList(list, "wanted_debian_packages")).toEqual(["etcd-server", "make"]);
  });

  test("wants a package with unless=COMMAND only where the command is missing", () => {
    const list = "shell unless=sh  is here\nother unless=no-such-command  is not\n";
    expect(runWithList(list, "wanted_debian_packages")).toEqual(["other"]);
  });

  test("names all packages where they are installed by hand", () => {
    const list = "shell unless=sh  is here\nmake  builds\n";
    expect(runWithList(list, "all_package_names")).toEqual(["shell make"]);
  });

  test("calls no package missing that dpkg does not know when its command is there", () => {
    const list =
      "no-such-package unless=sh  is here\nno-such-other unless=no-such-command  is not\n";
    expect(runWithList(list, "missing_debian_packages || true")).toEqual(["no-such-other"]);
  });
});

// bpf/gen/ is what the C programs say: regenerating it changes nothing.
import { expect, jest, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../sources.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

test("bpf/gen is fresh", () => {
  const words = ["-s", "-C", join(ROOT, "bpf"), "check", `NODE=${process.execPath}`];
  const { status, stdout, stderr } = spawnSync("make", words, { encoding: "utf8" });
  expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: "" });
});

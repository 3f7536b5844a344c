import { describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { LOOPBACK_PLUGIN } from "../../../../../deploy/lab/kubernetes/loopback.ts";

describe("LOOPBACK_PLUGIN", () => {
  for (const [command, answer] of [
    ["VERSION", expect.objectContaining({ cniVersion: "0.3.1" })],
    ["DEL", undefined],
  ] as const) {
    test(`answers ${command} as a plugin does`, () => {
      const { status, stdout } = spawnSync("sh", ["-c", LOOPBACK_PLUGIN], {
        input: "{}",
        encoding: "utf8",
        env: { PATH: process.env["PATH"], CNI_COMMAND: command },
      });
      expect(status).toBe(0);
      expect(stdout === "" ? undefined : JSON.parse(stdout)).toEqual(answer);
    });
  }
});

import { describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { createLeaseHolder } from "../../../../mesh/connect/lease-holder.ts";

describe("createLeaseHolder()", () => {
  test("names host and process, and nobody else alike", () => {
    const [one, other] = [createLeaseHolder(), createLeaseHolder()];
    expect(one.identity).toContain(`mesh on ${hostname()}, process ${process.pid} (`);
    expect(one.identity).not.toBe(other.identity);
  });

  test("sees who is gone, on this machine only", () => {
    const self = createLeaseHolder();
    const { identity } = self;
    const ended = spawnSync(process.execPath, ["--version"]).pid;
    const gone = identity.replace(`process ${process.pid} `, `process ${ended} `);
    expect(self.isGone(identity)).toBe(false);
    expect(self.isGone(gone)).toBe(true);
    expect(self.isGone(gone.replace(/\([0-9a-f]+-/, "(0123456789ab-"))).toBe(false);
    for (const other of ["", "somebody", `mesh on ${hostname()}, process ${ended} (0123)`]) {
      expect(self.isGone(other)).toBe(false);
    }
  });
});

import { describe, expect, test } from "@jest/globals";
import { findCgroupPath } from "../../../../agent/apply/cgroup-place.ts";

const CGROUP2 = 0x63677270;
const only = (wanted: string) => (path: string) => (path === wanted ? CGROUP2 : 0x1021994);

describe("findCgroupPath()", () => {
  test("takes a path as it is given", () => {
    expect(findCgroupPath({ kind: "path", path: "/c" }, () => undefined)).toBe("/c");
  });

  test("finds cgroup2 at the mount, or beside the old hierarchies", () => {
    const root = { kind: "root", path: "/host/cgroup" } as const;
    expect(findCgroupPath(root, only("/host/cgroup"))).toBe("/host/cgroup");
    expect(findCgroupPath(root, only("/host/cgroup/unified"))).toBe("/host/cgroup/unified");
    expect(() => findCgroupPath(root, () => undefined)).toThrow(
      'neither "/host/cgroup" nor "/host/cgroup/unified" is a cgroup2 file system',
    );
  });

  test("says so of a directory that is none", () => {
    expect(() => findCgroupPath({ kind: "root", path: "/proc" })).toThrow(
      "Cannot balance services",
    );
  });
});

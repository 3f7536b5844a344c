import { describe, expect, test } from "@jest/globals";
import { findCgroup2, isBpffs } from "../../../bpf/mounts.ts";

const HYBRID = `22 20 0:20 / /sys rw,nosuid - sysfs sysfs rw
24 22 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/cpu rw shared:5 - cgroup cgroup rw,cpu
36 24 0:33 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
`;
const UNIFIED = "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const ESCAPED = "30 22 0:26 / /mnt/with\\040blank rw - cgroup2 none rw\n";

describe("findCgroup2()", () => {
  for (const [mountinfo, path] of [
    [HYBRID, "/sys/fs/cgroup/unified"],
    [UNIFIED, "/sys/fs/cgroup"],
    [ESCAPED, "/mnt/with blank"],
  ] as const) {
    test(`finds ${path}`, () => {
      expect(findCgroup2(mountinfo)).toBe(path);
    });
  }

  test("says what to do where there is none", () => {
    expect(() => findCgroup2("")).toThrow(
      expect.objectContaining({ code: "unsupported", hint: expect.stringContaining("mount") }),
    );
  });
});

test("isBpffs() is false for other directories and for none", () => {
  expect(isBpffs("/proc")).toBe(false);
  expect(isBpffs("/nowhere/at/all")).toBe(false);
});

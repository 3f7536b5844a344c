// Which cgroup's sockets are balanced: the one that is named, or the root of the node's cgroup2,
// wherever below a mount of /sys/fs/cgroup it is.
import { statfsSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../mesh/core/errors.ts";
import type { CgroupPlace } from "../config.ts";

/** CGROUP2_SUPER_MAGIC of linux/magic.h */
const CGROUP2_MAGIC = 0x63677270;

/** Throws `unsupported` where there is no cgroup2. */
export function findCgroupPath(
  place: CgroupPlace,
  fileSystemType: (path: string) => number | undefined = readFileSystemType,
): string {
  if (place.kind === "path") return place.path;
  // systemd's hybrid set-up has the old hierarchies at the top and cgroup2 beside them.
  const candidates = [place.path, join(place.path, "unified")];
  const found = candidates.find((path) => fileSystemType(path) === CGROUP2_MAGIC);
  if (found !== undefined) return found;
  throw new MeshError(
    "unsupported",
    `Cannot balance services: neither ${candidates.map((path) => `"${path}"`).join(" nor ")} is a cgroup2 file system`,
    { hint: "mount the node's /sys/fs/cgroup there; the node must run with cgroup2" },
  );
}

function readFileSystemType(path: string): number | undefined {
  try {
    return statfsSync(path).type;
  } catch {
    return undefined; // Whatever it is, it is no cgroup2.
  }
}

// Cgroup programs on pinned links. A link outlives every process; a new program is put into the
// link that is there, so that there is no moment without one.
import { closeSync, existsSync, openSync, statSync } from "node:fs";
import { checkResult, isErrno } from "./errno.ts";
import * as libbpf from "./libbpf.ts";
import type { LoadedProgram } from "./object.ts";
import { replacePin, withPin } from "./pin.ts";

/** What became of the link: its program was exchanged, or a new link was made. */
export type LinkOutcome = "adopted" | "created";

/** Attaches the program to the cgroup by the link pinned at `path`. Idempotent. */
export function attachToCgroup(
  program: LoadedProgram,
  { cgroupPath, path }: { readonly cgroupPath: string; readonly path: string },
): LinkOutcome {
  if (existsSync(path) && updateLink(program, { cgroupPath, path })) return "adopted";
  const cgroup = openSync(cgroupPath, "r");
  try {
    const link = checkResult(
      `Cannot attach program "${program.name}" to cgroup "${cgroupPath}"`,
      libbpf.linkCreate(program.fd, cgroup, program.attachType, null),
    );
    try {
      replacePin(link, path);
    } finally {
      closeSync(link);
    }
  } finally {
    closeSync(cgroup);
  }
  return "created";
}

/** False for a link to another cgroup, or to one that is gone. */
function updateLink(
  program: LoadedProgram,
  { cgroupPath, path }: { readonly cgroupPath: string; readonly path: string },
): boolean {
  return withPin(path, (fd) => {
    const info: Partial<libbpf.LinkInfo> = {};
    const length = Uint32Array.of(libbpf.SIZE_OF.linkInfo);
    checkResult(`Cannot inspect link "${path}"`, libbpf.linkInfoByFd(fd, info, length));
    // In cgroup2 the id of a cgroup is the inode number of its directory.
    const cgroupId = statSync(cgroupPath, { bigint: true }).ino;
    if (info.attach_type !== program.attachType || BigInt(info.cgroup_id ?? 0) !== cgroupId)
      return false;
    const result = libbpf.linkUpdate(fd, program.fd, null);
    if (isErrno(result, "ENOLINK")) return false;
    checkResult(`Cannot exchange the program of link "${path}"`, result);
    return true;
  });
}

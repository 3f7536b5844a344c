// Cgroup programs on pinned links. A link outlives every process; a new program is put into the
// link that is there, so that there is no moment without one.
import { closeSync, existsSync, fstatSync, openSync } from "node:fs";
import { MeshError } from "../mesh/core/errors.ts";
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
  const cgroup = openCgroup(cgroupPath);
  try {
    if (existsSync(path) && updateLink(program, { cgroup, path })) return "adopted";
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

function openCgroup(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new MeshError("not_found", `Cannot open cgroup "${path}": ${code}`, { cause: error });
  }
}

/** False for a link to another cgroup, or to one that is gone. */
function updateLink(
  program: LoadedProgram,
  { cgroup, path }: { readonly cgroup: number; readonly path: string },
): boolean {
  return withPin(path, (fd) => {
    const info: Partial<libbpf.LinkInfo> = {};
    const length = Uint32Array.of(libbpf.SIZE_OF.linkInfo);
    checkResult(`Cannot inspect link "${path}"`, libbpf.linkInfoByFd(fd, info, length));
    // In cgroup2 the id of a cgroup is the inode number of its directory.
    const cgroupId = fstatSync(cgroup, { bigint: true }).ino;
    if (info.attach_type !== program.attachType || BigInt(info.cgroup_id ?? 0) !== cgroupId)
      return false;
    const result = libbpf.linkUpdate(fd, program.fd, null);
    if (isErrno(result, "ENOLINK")) return false;
    checkResult(`Cannot exchange the program of link "${path}"`, result);
    return true;
  });
}

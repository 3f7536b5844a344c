// Names in a bpffs: what keeps maps, programs and links alive while no process holds them.
import { closeSync, existsSync, renameSync, rmSync } from "node:fs";
import { MeshError } from "../mesh/core/errors.ts";
import type { AnyMapSpec } from "./codec.ts";
import { checkResult, errorFromResult, isErrno } from "./errno.ts";
import * as libbpf from "./libbpf.ts";

/** bpffs reserves names with dots, so the newcomer waits under this suffix for its rename. */
const NEXT_SUFFIX = "_next";

/** enum bpf_map_type by the names that specs use. */
export const MAP_TYPE_NUMBER: Record<AnyMapSpec["type"], number> = {
  hash: 1,
  array: 2,
  percpu_array: 6,
  lru_hash: 9,
  lpm_trie: 11,
  hash_of_maps: 13,
  ringbuf: 27,
};

/** Returns a file descriptor; throws `not_found` where nothing is pinned. */
export function openPin(path: string): number {
  const result = libbpf.objectGet(path);
  if (isErrno(result, "ENOENT"))
    throw new MeshError("not_found", `Cannot open "${path}": nothing is pinned there`, {
      hint: "the node's agent pins its maps and programs when it starts",
    });
  return checkResult(`Cannot open "${path}"`, result);
}

/** Pins under a name that is free, or takes a used one over without a moment between. */
export function replacePin(fd: number, path: string): void {
  if (!existsSync(path)) {
    checkResult(`Cannot pin "${path}"`, libbpf.objectPin(fd, path));
    return;
  }
  const next = `${path}${NEXT_SUFFIX}`;
  rmSync(next, { force: true }); // Left by a process that died between pin and rename.
  checkResult(`Cannot pin "${next}"`, libbpf.objectPin(fd, next));
  renameSync(next, path);
}

/** Throws `conflict` unless the map is laid out as `spec` says. */
export function checkMapFd(fd: number, spec: AnyMapSpec): { readonly maxEntries: number } {
  const info: Partial<libbpf.MapInfo> = {};
  const length = Uint32Array.of(libbpf.SIZE_OF.mapInfo);
  const result = libbpf.mapInfoByFd(fd, info, length);
  if (result < 0) throw errorFromResult(`Cannot inspect map "${spec.name}"`, result);
  const found = `${info.type}/${info.key_size}/${info.value_size}`;
  const wanted = `${MAP_TYPE_NUMBER[spec.type]}/${spec.key.size}/${spec.value.size}`;
  if (found !== wanted)
    throw new MeshError(
      "conflict",
      `Cannot use map "${spec.name}": its type/key size/value size is ${found}, want ${wanted}`,
      { hint: "another version left it pinned; remove the node's datapath to start anew" },
    );
  return { maxEntries: info.max_entries ?? 0 };
}

/** Runs `work` with what is pinned at `path`. */
export function withPin<T>(path: string, work: (fd: number) => T): T {
  const fd = openPin(path);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

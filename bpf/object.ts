// An object file on its way into the kernel: opened (a spec, only read from the file), then
// loaded (maps and programs that exist). Attaching is link.ts and tc.ts.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { MeshError } from "../mesh/core/errors.ts";
import type { AnyMapSpec } from "./codec.ts";
import { checkResult, errorFromResult } from "./errno.ts";
import * as libbpf from "./libbpf.ts";
import { checkMapFd, replacePin, withPin } from "./pin.ts";

/** What the file declares. Nothing is in the kernel yet. */
export interface OpenedObject extends Disposable {
  readonly path: string;
  /** Maps that programs share with user space, by name. */
  readonly maps: ReadonlyMap<string, libbpf.Pointer>;
  readonly programs: ReadonlyMap<string, libbpf.Pointer>;
  /** The section with the `const volatile` struct config, if the object has one. */
  readonly config: libbpf.Pointer | undefined;
  readonly handle: libbpf.Pointer;
}

/** A program in the kernel; its file descriptor lives as long as the loaded object. */
export interface LoadedProgram {
  readonly name: string;
  readonly fd: number;
  /** enum bpf_attach_type that the section's name asks for. */
  readonly attachType: number;
}

export interface LoadedObject {
  readonly programs: ReadonlyMap<string, LoadedProgram>;
}

export interface LoadOptions {
  /** Maps that are pinned here are adopted with their rows, the others are pinned here. */
  readonly mapDirectory: string;
  readonly specs: readonly AnyMapSpec[];
  /** Map name → size, for maps that do not exist yet. */
  readonly maxEntries?: ReadonlyMap<string, number>;
  /** The encoded `const volatile` struct config. */
  readonly config?: Uint8Array;
}

/** What the verifier may say of one program before its text is cut. */
const LOG_BYTES = 1 << 20;

/** Throws `not_found` for a missing file. Dispose it when its programs are pinned or attached. */
export function openObject(path: string): OpenedObject {
  libbpf.setPrint(null);
  if (!existsSync(path))
    throw new MeshError("not_found", `Cannot open "${path}": there is no such file`, {
      hint: "`make -C bpf` builds the programs",
    });
  const handle = libbpf.objectOpenFile(path, null);
  if (handle === null) throw errorFromResult(`Cannot open "${path}"`, libbpf.lastErrno());
  const all = [...walk((previous) => libbpf.objectNextMap(handle, previous))];
  const maps = all.filter((map) => !libbpf.mapIsInternal(map));
  const programs = [...walk((previous) => libbpf.objectNextProgram(handle, previous))];
  let open = true;
  return {
    path,
    handle,
    maps: new Map(maps.map((map) => [libbpf.mapName(map), map])),
    programs: new Map(programs.map((program) => [libbpf.programName(program), program])),
    config: all.find((map) => libbpf.mapIsInternal(map) && isConfig(libbpf.mapName(map))),
    [Symbol.dispose]() {
      if (open) libbpf.objectClose(handle);
      open = false;
    },
  };
}

/** Throws with the verifier's words when the kernel refuses a program. */
export function loadObject(object: OpenedObject, options: LoadOptions): LoadedObject {
  const created = prepareMaps(object, options);
  if (options.config !== undefined && object.config !== undefined) {
    const { config } = options;
    checkResult(
      `Cannot configure "${basename(object.path)}"`,
      libbpf.mapSetInitialValue(object.config, config, config.length),
    );
  }
  const log = new Uint8Array(LOG_BYTES);
  for (const program of object.programs.values())
    libbpf.programSetLogBuffer(program, log, log.length);
  const result = libbpf.objectLoad(object.handle);
  if (result < 0)
    throw errorFromResult(`Cannot load "${basename(object.path)}"`, result, textFromLog(log));
  for (const [name, map] of created) {
    const fd = libbpf.mapFd(map);
    checkMapFd(fd, specOf(options.specs, name));
    replacePin(fd, join(options.mapDirectory, name));
  }
  return {
    programs: new Map(
      [...object.programs].map(([name, program]) => [
        name,
        { name, fd: libbpf.programFd(program), attachType: libbpf.programAttachType(program) },
      ]),
    ),
  };
}

/** Adopts what is pinned; returns the maps that the kernel will have to create. */
function prepareMaps(
  object: OpenedObject,
  { mapDirectory, specs, maxEntries }: LoadOptions,
): ReadonlyMap<string, libbpf.Pointer> {
  const created = new Map<string, libbpf.Pointer>();
  for (const [name, map] of object.maps) {
    const path = join(mapDirectory, name);
    const size = maxEntries?.get(name);
    if (existsSync(path)) {
      // An adopted map keeps its size: the kernel cannot change it, and its rows matter more.
      withPin(path, (fd) => {
        checkMapFd(fd, specOf(specs, name));
        checkResult(`Cannot adopt map "${name}"`, libbpf.mapReuseFd(map, fd));
      });
      continue;
    }
    if (size !== undefined)
      checkResult(`Cannot size map "${name}"`, libbpf.mapSetMaxEntries(map, size));
    created.set(name, map);
  }
  return created;
}

function specOf(specs: readonly AnyMapSpec[], name: string): AnyMapSpec {
  const spec = specs.find((candidate) => candidate.name === name);
  if (spec === undefined)
    throw new MeshError("internal", `Cannot use map "${name}": it has no generated spec`);
  return spec;
}

function* walk(
  next: (previous: libbpf.Pointer | null) => libbpf.Pointer | null,
): Generator<libbpf.Pointer> {
  for (let item = next(null); item !== null; item = next(item)) yield item;
}

function isConfig(name: string): boolean {
  return name.endsWith(".rodata.config");
}

function textFromLog(log: Uint8Array): string {
  const end = log.indexOf(0);
  return Buffer.from(log.subarray(0, end < 0 ? log.length : end)).toString();
}

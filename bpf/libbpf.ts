// The prototypes of libbpf.so.1 (1.1 or newer) and of the libc functions beside it: the only file
// that knows koffi. It declares and does nothing else; errors are translated in errno.ts.
//
// Pointers that C hands out are opaque bigints. Types are anonymous, since koffi registers a
// named type once a process and a test runner may load this file more often.
/* oxlint-disable max-params -- C decides how many parameters its functions have. */
import koffi from "koffi";

const library = koffi.load("libbpf.so.1");
const libc = koffi.load("libc.so.6");

/** A pointer that only libbpf looks behind; 0n and null are NULL. */
export type Pointer = bigint;

/** The head of struct bpf_map_info; the kernel fills as much as is asked for. */
const mapInfo = koffi.struct({
  type: "uint32_t",
  id: "uint32_t",
  key_size: "uint32_t",
  value_size: "uint32_t",
  max_entries: "uint32_t",
  map_flags: "uint32_t",
});

/** The head of struct bpf_link_info with the `cgroup` member of its union. */
const linkInfo = koffi.struct({
  type: "uint32_t",
  id: "uint32_t",
  prog_id: "uint32_t",
  cgroup_id: "uint64_t",
  attach_type: "uint32_t",
});

/** The head of struct bpf_map_create_opts. */
const mapCreateOptions = koffi.struct({
  sz: "size_t",
  btf_fd: "uint32_t",
  btf_key_type_id: "uint32_t",
  btf_value_type_id: "uint32_t",
  btf_vmlinux_value_type_id: "uint32_t",
  inner_map_fd: "uint32_t",
  map_flags: "uint32_t",
});

const tcHook = koffi.struct({
  sz: "size_t",
  ifindex: "int",
  attach_point: "int",
  parent: "uint32_t",
});

const tcOptions = koffi.struct({
  sz: "size_t",
  prog_fd: "int",
  flags: "uint32_t",
  prog_id: "uint32_t",
  handle: "uint32_t",
  priority: "uint32_t",
});

const testRunOptions = koffi.struct({
  sz: "size_t",
  data_in: "const void *",
  data_out: "void *",
  data_size_in: "uint32_t",
  data_size_out: "uint32_t",
  ctx_in: "const void *",
  ctx_out: "void *",
  ctx_size_in: "uint32_t",
  ctx_size_out: "uint32_t",
  retval: "uint32_t",
  repeat: "int",
  duration: "uint32_t",
  flags: "uint32_t",
  cpu: "uint32_t",
  batch_size: "uint32_t",
});

export const SIZE_OF = {
  mapInfo: koffi.sizeof(mapInfo),
  mapCreateOptions: koffi.sizeof(mapCreateOptions),
  linkInfo: koffi.sizeof(linkInfo),
  tcHook: koffi.sizeof(tcHook),
  tcOptions: koffi.sizeof(tcOptions),
  testRunOptions: koffi.sizeof(testRunOptions),
} as const;

export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly map_flags: number;
}

export interface LinkInfo {
  readonly prog_id: number;
  readonly cgroup_id: number | bigint;
  readonly attach_type: number;
}

export interface TcHook {
  readonly sz: number;
  readonly ifindex: number;
  readonly attach_point: number;
  readonly parent: number;
}

export interface TcOptions {
  readonly sz: number;
  readonly prog_fd: number;
  readonly flags: number;
  readonly prog_id: number;
  readonly handle: number;
  readonly priority: number;
}

export interface TestRunOptions {
  sz: number;
  data_in: Uint8Array;
  data_out: Uint8Array;
  data_size_in: number;
  data_size_out: number;
  ctx_in: Uint8Array | null;
  ctx_out: Uint8Array | null;
  ctx_size_in: number;
  ctx_size_out: number;
  retval: number;
  repeat: number;
  duration: number;
  flags: number;
  cpu: number;
  batch_size: number;
}

/** The errno that the last call left; libbpf's int functions also return it negated. */
export const lastErrno: () => number = () => koffi.errno();

// Silence: what libbpf would print to stderr comes back as error and verifier log.
export const setPrint: (callback: null) => Pointer = library.func("libbpf_set_print", "void *", [
  "void *",
]);

export const mapLookup: (fd: number, key: Uint8Array, value: Uint8Array) => number = library.func(
  "int bpf_map_lookup_elem(int fd, const void *key, void *value)",
);
export const mapUpdate: (fd: number, key: Uint8Array, value: Uint8Array, flags: number) => number =
  library.func(
    "int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)",
  );
export const mapDelete: (fd: number, key: Uint8Array) => number = library.func(
  "int bpf_map_delete_elem(int fd, const void *key)",
);
export const mapNextKey: (fd: number, key: Uint8Array | null, next: Uint8Array) => number =
  library.func("int bpf_map_get_next_key(int fd, const void *key, void *next_key)");
type UpdateBatch = (
  fd: number,
  keys: Uint8Array,
  values: Uint8Array,
  count: Uint32Array,
  options: null,
) => number;
/** `count` holds one number: rows to write, and afterwards rows written. */
export const mapUpdateBatch: UpdateBatch & {
  /** On another thread: what the arguments point to is the kernel's until the callback. */
  readonly async: (
    ...args: [...Parameters<UpdateBatch>, (error: unknown, result: number) => void]
  ) => void;
} = library.func(
  "int bpf_map_update_batch(int fd, const void *keys, const void *values, void *count, const void *opts)",
);
export const mapDeleteBatch: (
  fd: number,
  keys: Uint8Array,
  count: Uint32Array,
  options: null,
) => number = library.func(
  "int bpf_map_delete_batch(int fd, const void *keys, void *count, const void *opts)",
);
export const mapLookupBatch: (
  fd: number,
  inBatch: Uint8Array | null,
  outBatch: Uint8Array,
  keys: Uint8Array,
  values: Uint8Array,
  count: Uint32Array,
  options: null,
) => number = library.func(
  "int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, void *count, const void *opts)",
);
export const mapCreate: (
  type: number,
  name: string,
  keySize: number,
  valueSize: number,
  maxEntries: number,
  options: { readonly sz: number; readonly map_flags: number },
) => number = library.func("bpf_map_create", "int", [
  "int",
  "str",
  "uint32_t",
  "uint32_t",
  "uint32_t",
  koffi.pointer(mapCreateOptions),
]);
export const mapFdById: (id: number) => number = library.func(
  "int bpf_map_get_fd_by_id(uint32_t id)",
);
export const possibleCpus: () => number = library.func("int libbpf_num_possible_cpus()");

export const objectPin: (fd: number, path: string) => number = library.func(
  "int bpf_obj_pin(int fd, const char *path)",
);
export const objectGet: (path: string) => number = library.func(
  "int bpf_obj_get(const char *path)",
);
export const mapInfoByFd: (fd: number, info: object, length: Uint32Array) => number = library.func(
  "bpf_obj_get_info_by_fd",
  "int",
  ["int", koffi.out(koffi.pointer(mapInfo)), "void *"],
);
export const linkInfoByFd: (fd: number, info: object, length: Uint32Array) => number = library.func(
  "bpf_obj_get_info_by_fd",
  "int",
  ["int", koffi.inout(koffi.pointer(linkInfo)), "void *"],
);

export const objectOpenFile: (path: string, options: null) => Pointer | null = library.func(
  "void *bpf_object__open_file(const char *path, const void *opts)",
);
export const objectLoad: (object: Pointer) => number = library.func(
  "int bpf_object__load(void *obj)",
);
export const objectClose: (object: Pointer) => void = library.func(
  "void bpf_object__close(void *obj)",
);
export const objectNextMap: (object: Pointer, previous: Pointer | null) => Pointer | null =
  library.func("void *bpf_object__next_map(const void *obj, const void *map)");
export const objectNextProgram: (object: Pointer, previous: Pointer | null) => Pointer | null =
  library.func("void *bpf_object__next_program(const void *obj, void *prog)");

export const mapName: (map: Pointer) => string = library.func(
  "const char *bpf_map__name(const void *map)",
);
export const mapFd: (map: Pointer) => number = library.func("int bpf_map__fd(const void *map)");
export const mapIsInternal: (map: Pointer) => boolean = library.func(
  "bool bpf_map__is_internal(const void *map)",
);
export const mapSetMaxEntries: (map: Pointer, maxEntries: number) => number = library.func(
  "int bpf_map__set_max_entries(void *map, uint32_t max_entries)",
);
export const mapReuseFd: (map: Pointer, fd: number) => number = library.func(
  "int bpf_map__reuse_fd(void *map, int fd)",
);
export const mapSetInitialValue: (map: Pointer, value: Uint8Array, size: number) => number =
  library.func("int bpf_map__set_initial_value(void *map, const void *data, size_t size)");

export const programName: (program: Pointer) => string = library.func(
  "const char *bpf_program__name(const void *prog)",
);
export const programFd: (program: Pointer) => number = library.func(
  "int bpf_program__fd(const void *prog)",
);
export const programAttachType: (program: Pointer) => number = library.func(
  "int bpf_program__expected_attach_type(const void *prog)",
);
export const programSetLogBuffer: (program: Pointer, log: Uint8Array, size: number) => number =
  library.func("int bpf_program__set_log_buf(void *prog, void *log_buf, size_t log_size)");

export const linkCreate: (
  programFd: number,
  targetFd: number,
  attachType: number,
  options: null,
) => number = library.func(
  "int bpf_link_create(int prog_fd, int target_fd, int attach_type, const void *opts)",
);
export const linkUpdate: (linkFd: number, programFd: number, options: null) => number =
  library.func("int bpf_link_update(int link_fd, int new_prog_fd, const void *opts)");

export const tcHookCreate: (hook: TcHook) => number = library.func("bpf_tc_hook_create", "int", [
  koffi.pointer(tcHook),
]);
export const tcAttach: (hook: TcHook, options: TcOptions) => number = library.func(
  "bpf_tc_attach",
  "int",
  [koffi.pointer(tcHook), koffi.pointer(tcOptions)],
);
export const tcDetach: (hook: TcHook, options: TcOptions) => number = library.func(
  "bpf_tc_detach",
  "int",
  [koffi.pointer(tcHook), koffi.pointer(tcOptions)],
);

/** Fills nothing of ours in: only what it returns is used. */
export const tcQuery: (hook: TcHook, options: TcOptions) => number = library.func(
  "bpf_tc_query",
  "int",
  [koffi.pointer(tcHook), koffi.pointer(tcOptions)],
);

export const programTestRun: (fd: number, options: TestRunOptions) => number = library.func(
  "bpf_prog_test_run_opts",
  "int",
  ["int", koffi.inout(koffi.pointer(testRunOptions))],
);

/** 0 when there is no such interface in the process's network namespace. */
export const interfaceIndex: (name: string) => number = libc.func(
  "unsigned int if_nametoindex(const char *name)",
);

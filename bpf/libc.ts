// The prototypes of libc's socket functions, and where memory lies: what Node has no way to ask the
// kernel. It declares and does nothing else; socket.ts gives the functions a shape, errno.ts
// translates what they return. Every call is synchronous: descriptors must not block.
/* oxlint-disable max-params -- C decides how many parameters its functions have. */
import koffi from "koffi";

const libc = koffi.load("libc.so.6");

/** The errno that this thread's last call left. */
export const lastErrno: () => number = () => koffi.errno();

/**
 * Where the memory lies, for structs that hold pointers. It must stem from an ArrayBuffer of its
 * own (`new ArrayBuffer`), which never moves, and be referenced for as long as C may look.
 */
export const addressOf: (memory: Uint8Array) => bigint = (memory) => koffi.address(memory);

export const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  "int socket(int domain, int type, int protocol)",
);
export const close: (fd: number) => number = libc.func("int close(int fd)");

/** Of the calling thread alone. */
export const setNamespace: (fd: number, type: number) => number = libc.func(
  "int setns(int fd, int nstype)",
);
export const bind: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  "int bind(int fd, const void *addr, uint32_t addrlen)",
);
export const getOption: (
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  length: Uint32Array,
) => number = libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)");
export const setOption: (
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  length: number,
) => number = libc.func(
  "int setsockopt(int fd, int level, int name, const void *value, uint32_t length)",
);
export const sendTo: (
  fd: number,
  message: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array | null,
  addressLength: number,
) => number = libc.func(
  "int64_t sendto(int fd, const void *buf, size_t len, int flags, const void *addr, uint32_t addrlen)",
);
export const receive: (fd: number, into: Uint8Array, length: number, flags: number) => number =
  libc.func("int64_t recv(int fd, void *buf, size_t len, int flags)");

/** `messages` holds `count` structs mmsghdr; returns how many were sent, the first ones. */
export const sendMessages: (
  fd: number,
  messages: Uint8Array,
  count: number,
  flags: number,
) => number = libc.func("int sendmmsg(int fd, void *messages, unsigned int count, int flags)");

/** Returns where the memory begins; the largest number there is, when it fails. */
export const mapMemory: (
  address: null,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => bigint = libc.func(
  "uintptr_t mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)",
);
export const unmapMemory: (address: bigint, length: number) => number = libc.func(
  "int munmap(uintptr_t addr, size_t length)",
);
export const pageSize: () => number = libc.func("int getpagesize(void)");
/** The memory itself, without a copy; not to be touched once it is unmapped. */
export const viewOf: (address: bigint, length: number) => ArrayBuffer = (address, length) =>
  koffi.view(address, length);

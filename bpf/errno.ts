// Translates what libbpf and the kernel return (a negated errno, and the verifier's log) into
// MeshError: the edge where foreign errors of this folder end.
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { MeshError, type ErrorCode } from "../mesh/core/errors.ts";

/** The kernel's own "not supported", which never leaves it but through bpf(). */
export const ENOTSUPP = 524;

/** How much of the verifier's log an error carries: its end says what was refused and why. */
const LOG_TAIL_LINES = 20;

const CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [constants.errno.EPERM, "permission_denied"],
  [constants.errno.EACCES, "permission_denied"],
  [constants.errno.ENOENT, "not_found"],
  [constants.errno.ENODEV, "not_found"],
  [constants.errno.EEXIST, "already_exists"],
  [constants.errno.E2BIG, "resource_exhausted"],
  [constants.errno.ENOSPC, "resource_exhausted"],
  [constants.errno.ENOMEM, "resource_exhausted"],
  [constants.errno.EOPNOTSUPP, "unsupported"],
  [constants.errno.ENOSYS, "unsupported"],
  [ENOTSUPP, "unsupported"],
  [constants.errno.EBUSY, "unavailable"],
  [constants.errno.EAGAIN, "unavailable"],
]);

/** `action` is the start of the sentence: "Cannot pin map". `result` is a negated errno. */
export function errorFromResult(action: string, result: number, log = ""): MeshError {
  const errno = Math.abs(result);
  const code = CODES.get(errno) ?? "internal";
  const hint =
    code === "permission_denied"
      ? { hint: "eBPF needs root, or the capabilities CAP_BPF and CAP_NET_ADMIN" }
      : {};
  const tail = tailOfLog(log);
  const cause = tail === "" ? {} : { cause: new Error(`the verifier says:\n${tail}`) };
  return new MeshError(code, `${action}: ${nameFromErrno(errno)}`, { ...hint, ...cause });
}

/** Returns a result that is no error. */
export function checkResult(action: string, result: number): number {
  if (result < 0) throw errorFromResult(action, result);
  return result;
}

export function isErrno(result: number, name: keyof typeof constants.errno): boolean {
  return result === -constants.errno[name];
}

function nameFromErrno(errno: number): string {
  if (errno === ENOTSUPP) return "ENOTSUPP";
  return errno === 0 ? "unknown error" : getSystemErrorName(-errno);
}

function tailOfLog(log: string): string {
  const lines = log.split("\n").filter((line) => line !== "");
  return lines.slice(-LOG_TAIL_LINES).join("\n");
}

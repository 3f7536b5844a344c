// gRPC and etcd errors become MeshErrors here, once. Nothing behind this file sees a status code.
import { MeshError, type ErrorCode } from "../core/errors.ts";

const OLD_AUTH_REVISION = "revision of auth store is old";

/** etcd puts what matters into the text: one status code stands for several situations. */
const CODE_BY_TEXT: readonly (readonly [string, ErrorCode])[] = [
  ["required revision has been compacted", "compacted"],
  // We ask for revisions that we were told of; an etcd that has not reached them lost them.
  ["required revision is a future revision", "cluster_changed"],
  ["requested lease not found", "not_found"],
  ["user name already exists", "already_exists"],
  ["role name already exists", "already_exists"],
  ["user name not found", "not_found"],
  ["role name not found", "not_found"],
  ["permission denied", "permission_denied"],
  // Users were changed while the request was on its way; nothing of it was done.
  [OLD_AUTH_REVISION, "unavailable"],
  ["user name is empty", "unauthenticated"],
  ["invalid auth token", "unauthenticated"],
  ["authentication is not enabled", "unsupported"],
  ["database space exceeded", "resource_exhausted"],
  ["request is too large", "resource_exhausted"],
];

const CODE_BY_STATUS: ReadonlyMap<number, ErrorCode> = new Map([
  [1, "unavailable"], // CANCELLED by the other side; our own cancellation is told apart by its signal.
  [3, "invalid_argument"],
  [4, "deadline_exceeded"],
  [5, "not_found"],
  [6, "already_exists"],
  [7, "permission_denied"],
  [8, "resource_exhausted"],
  [9, "conflict"],
  [10, "conflict"],
  [11, "invalid_argument"],
  [12, "unsupported"],
  [13, "unavailable"], // INTERNAL is what a stream that was reset in its middle ends with.
  [14, "unavailable"],
  [15, "data_loss"],
  [16, "unauthenticated"],
]);

/** `doing` completes "Cannot …", as in `list "cilium/state/"`. */
export function meshErrorFromGrpc(error: unknown, doing: string): MeshError {
  if (error instanceof MeshError) return error;
  const { text, status } = describe(error);
  const byText = CODE_BY_TEXT.find(([part]) => text.includes(part))?.[1];
  const code = byText ?? (status === undefined ? "internal" : CODE_BY_STATUS.get(status));
  return new MeshError(code ?? "unavailable", `Cannot ${doing}: ${text}`, { cause: error });
}

/** Whether etcd wants to be asked once more, at once: it judged by users that have changed. */
export function wantsToBeAskedAgain(error: unknown): boolean {
  return error instanceof MeshError && error.message.includes(OLD_AUTH_REVISION);
}

/** The same for the reason that etcd gives when it ends a watch by itself. */
export function meshErrorFromCancelReason(reason: string, doing: string): MeshError {
  const code = CODE_BY_TEXT.find(([part]) => reason.includes(part))?.[1] ?? "unavailable";
  return new MeshError(code, `Cannot ${doing}: ${reason === "" ? "etcd ended it" : reason}`);
}

function describe(error: unknown): { text: string; status: number | undefined } {
  if (!(error instanceof Error)) return { text: String(error), status: undefined };
  const details = "details" in error && typeof error.details === "string" ? error.details : "";
  const status = "code" in error && typeof error.code === "number" ? error.code : undefined;
  return { text: details === "" ? error.message : details, status };
}

// The one error class of the project and its closed set of codes. Callers branch on `code`,
// never on message text; foreign errors are translated once, at the edge that meets them.

export type ErrorCode =
  | "invalid_argument" // The caller's input is wrong; the message says what would be right.
  | "not_found"
  | "already_exists"
  | "conflict" // The object changed or is owned by someone else.
  | "permission_denied"
  | "unauthenticated"
  | "unavailable" // May work when tried again.
  | "deadline_exceeded"
  | "compacted" // The wanted etcd revision is gone: list again.
  | "cluster_changed" // The etcd behind the endpoint is another one, or went back in time.
  | "resource_exhausted" // A named limit was reached.
  | "unsupported" // This kernel, etcd or peer cannot do it.
  | "aborted" // The caller's signal was aborted.
  | "data_loss"
  | "internal";

/**
 * An operating error. The message follows "Cannot VERB OBJECT: REASON", without a full stop;
 * `hint`, where there is one, tells a person what to do next.
 */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { hint?: string }) {
    super(message, options);
    this.name = "MeshError";
    this.code = code;
    this.hint = options?.hint;
  }
}

/** Whether `error` is a MeshError, and of `code` if one is given. */
export function isMeshError(error: unknown, code?: ErrorCode): error is MeshError {
  return error instanceof MeshError && (code === undefined || error.code === code);
}

/** The message of anything thrown, with the messages of its causes behind it. */
export function messageFromError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  return `${error.message}: ${messageFromError(error.cause)}`;
}

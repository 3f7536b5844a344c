// Errors of the NATS client in the project's words: translated here and nowhere else.
import { NatsError } from "nats";
import { isMeshError, MeshError, messageFromError, type ErrorCode } from "../core/errors.ts";

/** JetStream's own numbers (`err_code` of its API). */
const STREAM_NOT_FOUND = 10_059;
const MESSAGE_NOT_FOUND = 10_037;

const CODES: Readonly<Record<string, ErrorCode>> = {
  "503": "unavailable",
  TIMEOUT: "deadline_exceeded",
  AUTHORIZATION_VIOLATION: "unauthenticated",
  AUTHENTICATION_EXPIRED: "unauthenticated",
  AUTHENTICATION_TIMEOUT: "unauthenticated",
  PERMISSIONS_VIOLATION: "permission_denied",
  MAX_PAYLOAD_EXCEEDED: "resource_exhausted",
};

/** `what` is "ask east-node1", "read stream EVENTS": the operation and its object. */
export function translateNatsError(error: unknown, what: string): MeshError {
  if (isMeshError(error)) return error;
  return new MeshError(codeOf(error), `Cannot ${what}: ${reasonOf(error)}`, { cause: undefined });
}

/** Whether sending the same once more may help. */
export function mayBeTriedAgain(error: MeshError): boolean {
  return error.code === "unavailable" || error.code === "deadline_exceeded";
}

function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof NatsError)) return "unavailable";
  const { api_error: api } = error;
  if (api !== undefined) {
    if (api.err_code === STREAM_NOT_FOUND || api.err_code === MESSAGE_NOT_FOUND) return "not_found";
    return api.code >= 500 ? "unavailable" : "invalid_argument";
  }
  return CODES[error.code] ?? "unavailable";
}

function reasonOf(error: unknown): string {
  if (error instanceof NatsError) {
    if (error.code === "503") return "nobody answers there";
    if (error.code === "TIMEOUT") return "no answer in time";
    const chained = error.chainedError === undefined ? "" : `: ${error.chainedError.message}`;
    return `${error.message.toLowerCase()}${chained}`;
  }
  return messageFromError(error);
}

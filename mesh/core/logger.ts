// Structured logging. Messages are constant strings, everything variable is a field. Levels:
// info = a state an operator would name, warn = will be retried, error = a person must act.

import { messageFromError } from "./errors.ts";

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A child whose lines all carry `fields`. */
  with(fields: LogFields): Logger;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export interface LoggerOptions {
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
  readonly level?: LogLevel;
}

/** One JSON object a line: time, level, message, fields. An Error field becomes its messages. */
export function createJsonLogger(options: LoggerOptions, fields: LogFields = {}): Logger {
  const threshold = LEVELS.indexOf(options.level ?? "info");
  const emit = (level: LogLevel, message: string, extra?: LogFields): void => {
    if (LEVELS.indexOf(level) < threshold) return;
    const head = { time: new Date(options.nowMs()).toISOString(), level, message };
    options.write(`${encodeLine(head, { ...fields, ...extra })}\n`);
  };
  return {
    debug: (message, extra) => emit("debug", message, extra),
    info: (message, extra) => emit("info", message, extra),
    warn: (message, extra) => emit("warn", message, extra),
    error: (message, extra) => emit("error", message, extra),
    with: (extra) => createJsonLogger(options, { ...fields, ...extra }),
  };
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLogger,
};

/** Fields cannot replace the line's own, and no field can keep the line from being written. */
function encodeLine(head: LogFields, fields: LogFields): string {
  try {
    return JSON.stringify({ ...head, ...fields, ...head }, encodeField);
  } catch (error) {
    return JSON.stringify({ ...head, unwritable: messageFromError(error) });
  }
}

function encodeField(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) {
    const cause = value.cause === undefined ? {} : { cause: value.cause };
    return { error: value.message, ...("code" in value ? { code: value.code } : {}), ...cause };
  }
  return value;
}

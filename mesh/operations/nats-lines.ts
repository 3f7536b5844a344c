// The first words of NATS' protocol, a line each way: what a tunnel has to understand of it.
import type { Readable } from "node:stream";
import { MeshError } from "../core/errors.ts";

/** The server's own limit of a control line is 4 KiB; what it says of itself is some hundred bytes. */
const LINE_MAX_BYTES = 32 * 1024;
const LINE_END = "\r\n";

/**
 * The first line of a stream, without its end; what follows it stays in the stream. Throws
 * `unavailable` when the stream ends before, or says too much.
 */
export function readLine(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const settle = (end: () => void): void => {
      stream.off("readable", onReadable);
      stream.off("error", onError);
      stream.off("close", onClose);
      stream.off("end", onClose);
      end();
    };
    const onReadable = (): void => {
      for (let chunk = next(stream); chunk !== null; chunk = next(stream)) {
        read = Buffer.concat([read, chunk]);
        const at = read.indexOf(LINE_END);
        if (at >= 0) {
          const rest = read.subarray(at + LINE_END.length);
          const line = read.toString("utf8", 0, at);
          return settle(() => {
            if (rest.length > 0) stream.unshift(rest);
            resolve(line);
          });
        }
        if (read.length > LINE_MAX_BYTES) {
          return settle(() => reject(lineError("the first line does not end")));
        }
      }
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onClose = (): void => settle(() => reject(lineError("it ends without a word")));
    stream.on("readable", onReadable);
    stream.once("error", onError);
    stream.once("close", onClose);
    stream.once("end", onClose);
  });
}

/** `INFO {"…"}` or `CONNECT {"…"}`. Throws `unavailable` for anything else. */
export function parseLine(word: "INFO" | "CONNECT", line: string): Record<string, unknown> {
  const [, said = "", text = ""] = /^([A-Za-z]+)\s+(\{.*\})\s*$/.exec(line) ?? [];
  if (said.toUpperCase() !== word) throw lineError(`it does not begin with ${word}`);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw lineError(`its ${word} is no JSON`);
  }
}

function next(stream: Readable): Buffer | null {
  return stream.read() as Buffer | null;
}

function lineError(reason: string): MeshError {
  return new MeshError("unavailable", `Cannot speak NATS with it: ${reason}`);
}

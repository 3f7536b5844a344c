// Newline-delimited JSON in pieces of any size → lines. A line that grows beyond the limit ends
// the stream: nothing that the API server sends is that long.
import { MeshError } from "../core/errors.ts";

export interface LineParser {
  /** The lines that `chunk` completes, without empty ones. Throws `resource_exhausted`. */
  push(chunk: Uint8Array): string[];
}

const NEWLINE = 0x0a;

export function createLineParser({ maxBytes }: { maxBytes: number }): LineParser {
  /** The beginning of a line; in pieces, so that a long line is copied once. */
  let pieces: Uint8Array[] = [];
  let length = 0;

  function keep(piece: Uint8Array): void {
    length += piece.length;
    if (length > maxBytes) {
      throw new MeshError(
        "resource_exhausted",
        `Cannot read a line of the watch: it is longer than ${maxBytes} bytes`,
      );
    }
    if (piece.length > 0) pieces.push(piece);
  }

  function take(): string {
    const line = Buffer.concat(pieces).toString("utf8").trim();
    pieces = [];
    length = 0;
    return line;
  }

  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        keep(chunk.subarray(from, end));
        const line = take();
        if (line !== "") lines.push(line);
        from = end + 1;
      }
      keep(chunk.subarray(from));
      return lines;
    },
  };
}

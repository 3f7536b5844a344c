// Writes tar files (POSIX ustar) of what stands in memory: enough for an image of one program.
// Pure; everything belongs to root, and nothing in it depends on when or where it was made.
import assert from "node:assert/strict";

export type TarEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      readonly content: Uint8Array;
    }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

const BLOCK_BYTES = 512;
/** The end of an archive. */
const END_BLOCKS = 2;
// Fields of the header: offset and length.
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const UID = [108, 8] as const;
const GID = [116, 8] as const;
const SIZE = [124, 12] as const;
const MTIME = [136, 12] as const;
const CHECKSUM = [148, 8] as const;
const TYPE = [156, 1] as const;
const LINK_NAME = [157, 100] as const;
const MAGIC = [257, 8] as const;
const TYPE_OF = { file: "0", link: "2", directory: "5" } as const;

export function encodeTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = entry.kind === "file" ? entry.content : new Uint8Array();
    const padding = (BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES;
    return [header(entry, content.length), content, Buffer.alloc(padding)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(END_BLOCKS * BLOCK_BYTES)]);
}

function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const put = ([offset, length]: readonly [number, number], text: string): void => {
    assert(Buffer.byteLength(text) <= length, `"${text}" is too long for a tar header`);
    block.write(text, offset, length, "utf8");
  };
  const octal = (value: number, [, length]: readonly [number, number]): string =>
    `${value.toString(8).padStart(length - 1, "0")}\0`;
  put(NAME, entry.kind === "directory" ? `${entry.path}/` : entry.path);
  put(MODE, octal(entry.kind === "link" ? 0o777 : entry.mode, MODE));
  put(UID, octal(0, UID));
  put(GID, octal(0, GID));
  put(SIZE, octal(size, SIZE));
  put(MTIME, octal(0, MTIME));
  put(TYPE, TYPE_OF[entry.kind]);
  if (entry.kind === "link") put(LINK_NAME, entry.target);
  put(MAGIC, "ustar\u000000");
  // The sum is taken with blanks in its own place.
  put(CHECKSUM, " ".repeat(CHECKSUM[1]));
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(CHECKSUM, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

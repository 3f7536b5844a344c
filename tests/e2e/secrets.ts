// Looks for secrets where none may be: takes what is private of a key or a token, and finds it in
// any text in which it stands raw, in hexadecimal, or in base64 of either alphabet, broken into
// lines or not and at whatever offset.
import { createPrivateKey } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

export interface Secret {
  /** Where it belongs; never the secret itself. */
  readonly name: string;
  readonly needles: readonly Needle[];
}

interface Needle {
  readonly raw: string;
  readonly hexadecimal: string;
  /** One for each offset in a group of three bytes. */
  readonly base64: readonly string[];
}

/** Enough to be unique, and little enough to be found if only a part was copied. */
const NEEDLE_BYTES = 24;
/** etcd allots its files in advance; nothing hides in blocks of zeros. */
const ZEROS = Buffer.alloc(4_096);

/** From the numbers that only the private key has: its modulus stands in certificates as well. */
export function secretFromKey(name: string, pem: string): Secret {
  const { d = "", p = "", q = "" } = createPrivateKey(pem).export({ format: "jwk" });
  return { name, needles: [d, p, q].map((part) => needleOf(Buffer.from(part, "base64url"))) };
}

export function secretFromBytes(name: string, bytes: Buffer): Secret {
  return { name, needles: [needleOf(bytes)] };
}

/** The names of the secrets that stand in the text. */
export function findSecrets(secrets: readonly Secret[], content: Buffer | string): string[] {
  const raw = typeof content === "string" ? content : withoutZeros(content).toString("latin1");
  // Line ends, also such as JSON writes them, and the alphabet for addresses of web pages.
  const joined = raw
    .replace(/\\n|\\r|\s/g, "")
    .replaceAll("-", "+")
    .replaceAll("_", "/");
  const lower = joined.toLowerCase();
  const isThere = (needle: Needle): boolean =>
    raw.includes(needle.raw) ||
    lower.includes(needle.hexadecimal) ||
    needle.base64.some((text) => joined.includes(text));
  return secrets.filter(({ needles }) => needles.some(isThere)).map(({ name }) => name);
}

function withoutZeros(content: Buffer): Buffer {
  const blocks: Buffer[] = [];
  for (let start = 0; start < content.length; start += ZEROS.length) {
    const block = content.subarray(start, start + ZEROS.length);
    if (!block.equals(ZEROS)) blocks.push(block);
  }
  return Buffer.concat(blocks);
}

export interface FoundFile {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  readonly mode: number;
}

/** Everything below a directory; what goes away meanwhile is left out. */
export async function listTree(directory: string): Promise<FoundFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry): Promise<FoundFile | undefined> => {
      const path = join(entry.parentPath, entry.name);
      const info = await stat(path).catch(() => undefined);
      if (info === undefined) return undefined;
      return {
        path,
        isDirectory: info.isDirectory(),
        isFile: info.isFile(),
        mode: info.mode & 0o7777,
      };
    }),
  );
  return found.filter((item) => item !== undefined);
}

/** `/proc/PID/cmdline` and `environ` of a process; empty once it has ended. */
export async function readProcessWords(pid: number): Promise<string> {
  const files = ["cmdline", "environ"].map((name) => `/proc/${pid}/${name}`);
  return (await Promise.all(files.map((file) => readFile(file, "latin1").catch(() => "")))).join();
}

function needleOf(bytes: Buffer): Needle {
  const part = bytes.subarray(0, NEEDLE_BYTES);
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), part]).toString("base64");
    // The characters at both ends depend on what stands beside the secret.
    return text.slice(4, -4);
  });
  return { raw: part.toString("latin1"), hexadecimal: part.toString("hex"), base64 };
}

// The repository's own files as the tests that check its structure see them: a walk that skips
// what is installed or built, and a reader of imports.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Installed, built, or git's own. */
const SKIPPED = new Set(["node_modules", "build", ".git", "coverage"]);

export interface SourceFile {
  /** Relative to the repository's root, with "/". */
  readonly path: string;
  readonly text: string;
}

/** All files below the root, in path order, read as UTF-8. */
export function readRepository(): SourceFile[] {
  return listFiles("").map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** TypeScript that people write: everything but generated code. */
export function handWritten(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(({ path }) => path.endsWith(".ts") && !path.startsWith("bpf/gen/"));
}

function listFiles(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true })
    .filter(({ name }) => !SKIPPED.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory()) return listFiles(path);
      return entry.isFile() ? [path] : [];
    });
}

export interface Import {
  /** As written: "../core/clock.ts", "node:fs", "koffi". */
  readonly specifier: string;
  /** The file it names, relative to the root; undefined for packages. */
  readonly path: string | undefined;
  /** Whether only types are imported, which leaves nothing at run time. */
  readonly typeOnly: boolean;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/g;

/** Static and dynamic imports and re-exports. What stands in comments and strings is none. */
export function importsOf(file: SourceFile): Import[] {
  const code = codeOnly(file.text);
  const matches = [...withoutComments(file.text).matchAll(IMPORT)].filter(
    ({ index, 0: text }) => code[index + text.search(/\S/)] !== " ",
  );
  return matches.map((match) => {
    const specifier = match[2] ?? match[3] ?? "";
    const path = specifier.startsWith(".")
      ? normalize(join(dirname(file.path), specifier))
      : undefined;
    return { specifier, path, typeOnly: match[1] !== undefined };
  });
}

/**
 * The text with every comment blanked and everything else, line breaks included, in its place.
 * Strings and templates are stepped over, so that "http://…" is no comment.
 */
export function withoutComments(text: string): string {
  return blank(text, { strings: false });
}

/** Code alone: comments and the contents of strings, templates and regular expressions blanked. */
export function codeOnly(text: string): string {
  return blank(text, { strings: true });
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|(?<=[=(,:!&|?;{}[\n]\s*|return\s+)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[dgimsuvy]*/g;

function blank(text: string, options: { readonly strings: boolean }): string {
  return text.replace(TOKEN, (token) => {
    const isComment = token.startsWith("//") || token.startsWith("/*");
    if (!isComment && !options.strings) return token;
    if (isComment) return token.replace(/[^\n]/g, " ");
    return token[0] + token.slice(1, -1).replace(/[^\n]/g, " ") + token.at(-1);
  });
}

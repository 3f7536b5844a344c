// How `mesh` talks to people. stdout is for the answer, stderr for the talk (progress, warnings,
// errors, hints). Colour only where a person looks: on a terminal, and not with NO_COLOR.
// `--output json` prints the same data as the table, once, as JSON.
import { messageFromError, MeshError } from "./core/errors.ts";

export interface Output {
  readonly write: (text: string) => void;
  /** Whether a person is looking (a terminal, colour not switched off). */
  readonly colour: boolean;
}

export type OutputFormat = "table" | "json";

/** Throws `invalid_argument` for anything but `table` and `json`. */
export function parseOutputFormat(value: string | undefined): OutputFormat {
  if (value === undefined || value === "table") return "table";
  if (value === "json") return "json";
  throw new MeshError("invalid_argument", `Cannot use --output "${value}": want table or json`);
}

export interface Column<T> {
  readonly header: string;
  readonly align?: "left" | "right";
  readonly text: (row: T) => string;
}

/** An aligned table with a header line; two spaces between columns, no trailing blanks. */
export function formatTable<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const cells = rows.map((row) => columns.map((column) => column.text(row)));
  const all = [columns.map((column) => column.header), ...cells];
  const widths = columns.map((_, i) => Math.max(...all.map((line) => (line[i] ?? "").length)));
  const pad = (text: string, i: number): string =>
    columns[i]?.align === "right" ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0);
  return all.map((line) => `${line.map(pad).join("  ").trimEnd()}\n`).join("");
}

/** JSON for machines: bigints as strings, maps as objects, two-space indent, one newline. */
export function formatJson(value: unknown): string {
  const encode = (_key: string, item: unknown): unknown => {
    if (typeof item === "bigint") return item.toString();
    if (item instanceof Map) return Object.fromEntries(item);
    if (item instanceof Set) return [...item];
    return item;
  };
  return `${JSON.stringify(value, encode, 2)}\n`;
}

export type Style = "red" | "green" | "yellow" | "bold" | "dim";
const STYLE_CODE: Record<Style, number> = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 };

export function styled(output: Output, style: Style, text: string): string {
  return output.colour ? `\u001b[${STYLE_CODE[style]}m${text}\u001b[0m` : text;
}

/** One line that says what is wrong, and a hint line for each cause that has one. */
export function printError(output: Output, error: unknown): void {
  output.write(`${styled(output, "red", "mesh: error:")} ${messageFromError(error)}\n`);
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof MeshError && cause.hint !== undefined)
      output.write(`mesh: hint: ${cause.hint}\n`);
  }
}

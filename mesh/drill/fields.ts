// Reading of maps that a person wrote, in a file or as flags. Every wrong value becomes one
// sentence that says where it stands and what would be right; a field that nobody knows is wrong.
import { MeshError } from "../core/errors.ts";

/** Where the value (or the key, if `key`) at a path stands: "drill.yaml:3:7", "--cluster". */
export type Place = (path: readonly (string | number)[], part: "key" | "value") => string;

export class Fields {
  readonly #map: Readonly<Record<string, unknown>>;
  readonly #path: readonly (string | number)[];
  readonly #place: Place;

  /** `known` are all fields that there may be; throws `invalid_argument` for another one. */
  constructor(
    value: unknown,
    about: {
      readonly path: readonly (string | number)[];
      readonly place: Place;
      readonly known: readonly string[];
    },
  ) {
    const { path, place, known } = about;
    this.#path = path;
    this.#place = place;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw wrong(place(path, "value"), `${nameOf(path)} is ${shown(value)}: want a map`);
    }
    this.#map = value as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(this.#map)) {
      if (known.length > 0 && !known.includes(name)) {
        const want = closest(name, known) ?? `one of ${known.join(", ")}`;
        const where = place([...path, name], "key");
        throw wrong(where, `${nameOf(path)} has no field "${name}": want ${want}`);
      }
    }
  }

  names(): readonly string[] {
    return Object.keys(this.#map);
  }

  has(name: string): boolean {
    return this.#map[name] !== undefined && this.#map[name] !== null;
  }

  /** An error about a field that the caller has found wrong. */
  wrong(name: string, reason: string): MeshError {
    const part = this.has(name) ? [...this.#path, name] : this.#path;
    return wrong(this.#place(part, "value"), `${nameOf([...this.#path, name])} ${reason}`);
  }

  child(name: string, known: readonly string[]): Fields {
    const about = { path: [...this.#path, name], place: this.#place, known };
    return new Fields(this.has(name) ? this.#map[name] : {}, about);
  }

  children(name: string, known: readonly string[]): Fields[] {
    return this.#list(name).map((value, index) => {
      const about = { path: [...this.#path, name, index], place: this.#place, known };
      return new Fields(value, about);
    });
  }

  text(name: string): string | undefined {
    const value = this.#map[name] ?? undefined;
    if (value === undefined || typeof value === "string") return value;
    throw this.wrong(name, `is ${shown(value)}: want text`);
  }

  requiredText(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === "") throw this.wrong(name, "is missing");
    return value;
  }

  texts(name: string): readonly string[] {
    return this.#list(name).map((value) => {
      if (typeof value === "string") return value;
      throw this.wrong(name, `holds ${shown(value)}: want a list of texts`);
    });
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.text(name);
    const found = choices.find((choice) => choice === value);
    if (value === undefined || found !== undefined) return found;
    const want = closest(value, choices) ?? `one of ${choices.join(", ")}`;
    throw this.wrong(name, `is "${value}": want ${want}`);
  }

  boolean(name: string): boolean | undefined {
    const value = this.#map[name] ?? undefined;
    if (value === undefined || typeof value === "boolean") return value;
    throw this.wrong(name, `is ${shown(value)}: want true or false`);
  }

  number(
    name: string,
    range: { readonly min: number; readonly max: number; readonly whole?: boolean },
  ): number | undefined {
    const value = this.#map[name] ?? undefined;
    if (value === undefined) return undefined;
    const { min, max, whole = true } = range;
    const fits = typeof value === "number" && value >= min && value <= max;
    if (fits && (!whole || Number.isInteger(value))) return value;
    const kind = whole ? "a whole number" : "a number";
    throw this.wrong(name, `is ${shown(value)}: want ${kind} from ${min} to ${max}`);
  }

  /** "250ms", "20s", "3m", "1h" in milliseconds. */
  duration(
    name: string,
    range: { readonly min: number; readonly max: number },
  ): number | undefined {
    const value = this.#map[name] ?? undefined;
    if (value === undefined) return undefined;
    const ms = typeof value === "string" ? parseDuration(value) : undefined;
    if (ms !== undefined && ms >= range.min && ms <= range.max) return ms;
    const limits = `from ${formatDuration(range.min)} to ${formatDuration(range.max)}`;
    throw this.wrong(name, `is ${shown(value)}: want a time such as 250ms, 20s or 3m, ${limits}`);
  }

  #list(name: string): readonly unknown[] {
    const value = this.#map[name] ?? [];
    if (Array.isArray(value)) return value as readonly unknown[];
    throw this.wrong(name, `is ${shown(value)}: want a list`);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Undefined for anything but a number with a unit. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim()) ?? [];
  const unitMs = UNIT_MS[unit ?? ""];
  return count === undefined || unitMs === undefined ? undefined : Math.round(+count * unitMs);
}

/** The largest unit that needs no fraction. */
export function formatDuration(ms: number): string {
  const [unit, unitMs] =
    Object.entries(UNIT_MS)
      .reverse()
      .find(([, each]) => ms >= each && ms % each === 0) ?? (["ms", 1] as const);
  return `${ms / unitMs}${unit}`;
}

function wrong(where: string, reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot use ${where}: ${reason}`);
}

function nameOf(path: readonly (string | number)[]): string {
  if (path.length === 0) return "the drill";
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
    .join("")
    .slice(1);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** The one that was probably meant: alike but for case, dashes and a letter or two. */
function closest(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_ ]/g, "");
  const ranked = known
    .map((word) => ({ word, distance: editDistance(plain(name), plain(word)) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && best.distance <= 2 ? best.word : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

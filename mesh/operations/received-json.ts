// Reading what somebody else said over NATS: size, depth, types, lengths, ranges. A peer is never
// believed, so nothing of a message is used before it has passed through here.
import { MeshError } from "../core/errors.ts";

/** What we say ourselves has four levels; 12 leave room. */
const DEPTH_MAX = 12;
/** The end of a text on a terminal must not be another one's choice. */
// oxlint-disable-next-line no-control-regex -- finding control characters is what it is for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** One JSON object that came in; `what` begins every refusal: "event", "question". */
export class ReceivedObject {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;

  private constructor(fields: Readonly<Record<string, unknown>>, what: string) {
    this.#fields = fields;
    this.#what = what;
  }

  /** Throws `invalid_argument` for anything but an object of at most `maxBytes`. */
  static parse(data: Buffer, options: { what: string; maxBytes: number }): ReceivedObject {
    const { what, maxBytes } = options;
    if (data.length > maxBytes) throw refusal(what, `want at most ${maxBytes} bytes`);
    let value: unknown;
    try {
      value = JSON.parse(data.toString("utf8"));
    } catch {
      throw refusal(what, `want a JSON object, got ${data.length} bytes that are not JSON`);
    }
    if (depthOf(value) > DEPTH_MAX) throw refusal(what, `want at most ${DEPTH_MAX} levels`);
    if (!isObject(value)) throw refusal(what, "want a JSON object");
    return new ReceivedObject(value, what);
  }

  /** A text without control characters. */
  text(field: string, rule: { readonly maxLength: number; readonly pattern?: RegExp }): string {
    const value = this.#fields[field];
    const { maxLength, pattern } = rule;
    if (typeof value !== "string" || value.length > maxLength) {
      throw this.#refuse(field, `a text of at most ${maxLength} characters`);
    }
    if (!value.isWellFormed() || CONTROL.test(value)) throw this.#refuse(field, "printable text");
    if (pattern?.test(value) === false) throw this.#refuse(field, `a text like ${pattern.source}`);
    return value;
  }

  choice<const T extends string>(field: string, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === this.#fields[field]);
    if (found === undefined) throw this.#refuse(field, `one of ${choices.join(", ")}`);
    return found;
  }

  number(field: string, { min, max }: { readonly min: number; readonly max: number }): number {
    const value = this.#fields[field];
    if (typeof value === "number" && value >= min && value <= max) return value;
    throw this.#refuse(field, `a number from ${min} to ${max}`);
  }

  integer(field: string, range: { readonly min: number; readonly max: number }): number {
    const value = this.number(field, range);
    if (Number.isInteger(value)) return value;
    throw this.#refuse(field, `a whole number from ${range.min} to ${range.max}`);
  }

  flag(field: string): boolean {
    const value = this.#fields[field];
    if (typeof value === "boolean") return value;
    throw this.#refuse(field, "true or false");
  }

  objects(field: string, maxItems: number): ReceivedObject[] {
    return this.#list(field, maxItems).map((item, index) => {
      if (!isObject(item)) throw this.#refuse(`${field}[${index}]`, "an object");
      return new ReceivedObject(item, this.#what);
    });
  }

  integers(field: string, rule: { maxItems: number; min: number; max: number }): number[] {
    return this.#list(field, rule.maxItems).map((item, index) => {
      const { min, max } = rule;
      if (typeof item === "number" && Number.isInteger(item) && item >= min && item <= max) {
        return item;
      }
      throw this.#refuse(`${field}[${index}]`, `a whole number from ${min} to ${max}`);
    });
  }

  /** An object of texts and finite numbers by name. */
  figures(
    field: string,
    rule: { readonly maxEntries: number; readonly maxLength: number },
  ): Record<string, string | number> {
    const value = this.#fields[field];
    if (!isObject(value)) throw this.#refuse(field, "an object");
    const entries = Object.entries(value);
    if (entries.length > rule.maxEntries) {
      throw this.#refuse(field, `at most ${rule.maxEntries} entries`);
    }
    return Object.fromEntries(
      entries.map(([name, figure]) => {
        const fits =
          typeof figure === "number" ||
          (typeof figure === "string" &&
            figure.length <= rule.maxLength &&
            figure.isWellFormed() &&
            !CONTROL.test(figure));
        if (!fits || !/^\w{1,64}$/.test(name) || name === "__proto__") {
          throw this.#refuse(field, "texts and numbers by name");
        }
        return [name, figure];
      }),
    );
  }

  #list(field: string, maxItems: number): readonly unknown[] {
    const value = this.#fields[field];
    if (Array.isArray(value) && value.length <= maxItems) return value;
    throw this.#refuse(field, `a list of at most ${maxItems}`);
  }

  #refuse(field: string, want: string): MeshError {
    return refusal(this.#what, `"${field}" is wrong, want ${want}`);
  }
}

function refusal(what: string, reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot use ${what}: ${reason}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Of at most `DEPTH_MAX` + 1: what is deeper is not looked at. */
function depthOf(value: unknown, level = 1): number {
  if (typeof value !== "object" || value === null || level > DEPTH_MAX) return level;
  return Math.max(level, ...Object.values(value).map((item) => depthOf(item, level + 1)));
}

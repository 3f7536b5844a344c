// Reading the fields of a JSON record that somebody else wrote: every type, length, count and
// range is checked, and a refusal names the record, the field, what is there and what would be
// right. Fields that nobody asks for are ignored, because Cilium adds fields between versions.
import { isUtf8 } from "node:buffer";
import { addressFromText, reservedAddressReason, type Address } from "../../core/address.ts";
import { MeshError } from "../../core/errors.ts";

/** Which record a message is about: `node "worker-1"`. */
export interface RecordSubject {
  readonly kind: string;
  readonly name: string;
}

/** What a text may be. Texts never hold control characters: they end up on terminals. */
export interface TextRule {
  readonly maxLength: number;
  readonly pattern?: RegExp;
  /** What would be right, for the message. */
  readonly want: string;
  /** A missing, null or empty value is read as "". */
  readonly optional?: boolean;
}

export interface IntegerRule {
  readonly min: number;
  readonly max: number;
  /** What a missing or null field is read as; without it such a field is refused. */
  readonly missing?: number;
}

/** Cilium's deepest record has 4 levels (service, backends, address, port); 16 leave it room. */
export const JSON_MAX_DEPTH = 16;
/** A refusal is one line of a status page. */
export const REFUSAL_MAX_LENGTH = 300;
const SHOWN_NAME_MAX_LENGTH = 72;
const SHOWN_VALUE_MAX_LENGTH = 48;
const SHOWN_PATH_MAX_LENGTH = 64;

/** The record as its top-level fields; throws `invalid_argument` for anything but a JSON object. */
export function openRecord(subject: RecordSubject, value: Buffer): RecordFields {
  const text = textFromRecord(subject, value);
  if (!depthIsBounded(value)) {
    throw refusal(subject, `want JSON nested at most ${JSON_MAX_DEPTH} deep`);
  }
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    // The parser's own message quotes the value at length and names no record.
    throw refusal(subject, `want a JSON object, got ${value.length} bytes that are not JSON`);
  }
  if (!isObject(fields)) throw refusal(subject, `want a JSON object, got ${show(fields)}`);
  return new RecordFields(subject, fields);
}

/** The value as text; throws `invalid_argument` unless it is UTF-8. */
export function textFromRecord(subject: RecordSubject, value: Buffer): string {
  if (!isUtf8(value)) throw refusal(subject, "want UTF-8 text, got other bytes");
  return value.toString("utf8");
}

/** The error of a record that must not be believed; `reason` says what is wrong and what is right. */
export function refusal(subject: RecordSubject, reason: string): MeshError {
  const name = quoteShort(subject.name, SHOWN_NAME_MAX_LENGTH);
  const message = `Cannot use ${subject.kind} ${name}: ${reason}`;
  return new MeshError(
    "invalid_argument",
    message.length <= REFUSAL_MAX_LENGTH
      ? message
      : `${message.slice(0, REFUSAL_MAX_LENGTH - 3)}...`,
  );
}

/** A value as a message shows it: short, in one line, printable ASCII. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return quoteShort(value, SHOWN_VALUE_MAX_LENGTH);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return JSON.stringify(value).slice(0, SHOWN_VALUE_MAX_LENGTH);
}

/** One JSON object of a record. */
export class RecordFields {
  readonly subject: RecordSubject;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(subject: RecordSubject, fields: Readonly<Record<string, unknown>>, path = "") {
    this.subject = subject;
    this.#fields = fields;
    this.#path = path;
  }

  /** The error to throw for a field of this object. */
  refuse(field: string, problem: { got: unknown; want: string }): MeshError {
    const path = quoteShort(this.#path + field, SHOWN_PATH_MAX_LENGTH);
    return refusal(this.subject, `field ${path} is ${show(problem.got)}, want ${problem.want}`);
  }

  has(field: string): boolean {
    return this.#fields[field] !== undefined && this.#fields[field] !== null;
  }

  text(field: string, rule: TextRule): string {
    const value = this.#fields[field] ?? (rule.optional === true ? "" : undefined);
    if (typeof value === "string" && textIsAllowed(value, rule)) return value;
    throw this.refuse(field, { got: value, want: rule.want });
  }

  /** The field if it is a text; undefined if it is anything else or missing. */
  optionalText(field: string): string | undefined {
    const value = this.#fields[field];
    return typeof value === "string" ? value : undefined;
  }

  integer(field: string, rule: IntegerRule): number {
    const value = this.#fields[field] ?? rule.missing;
    if (
      typeof value === "number" &&
      Number.isInteger(value) &&
      value >= rule.min &&
      value <= rule.max
    ) {
      return value + 0; // JSON can say -0.
    }
    throw this.refuse(field, {
      got: value,
      want: `a whole number from ${rule.min} to ${rule.max}`,
    });
  }

  /** A missing or null field is `missing`. */
  flag(field: string, missing = false): boolean {
    const value = this.#fields[field] ?? missing;
    if (typeof value === "boolean") return value;
    throw this.refuse(field, { got: value, want: "true or false" });
  }

  /** Throws unless the field holds exactly this value: what a record says of itself and its key. */
  exactly(field: string, wanted: string | number): void {
    const value = this.#fields[field];
    if (value !== wanted) throw this.refuse(field, { got: value, want: show(wanted) });
  }

  choice<C extends string>(field: string, choices: readonly C[]): C {
    const value = this.#fields[field];
    const choice = choices.find((item) => item === value);
    if (choice !== undefined) return choice;
    throw this.refuse(field, { got: value, want: `one of ${choices.map(show).join(", ")}` });
  }

  /** An address that a pod, node or service may have. */
  address(field: string): Address {
    return this.#addressFromText(field, this.#fields[field]);
  }

  /** The same; undefined if the field is missing, null or "" (how Go writes a nil address). */
  optionalAddress(field: string): Address | undefined {
    const value = this.#fields[field];
    if (value === undefined || value === null || value === "") return undefined;
    return this.#addressFromText(field, value);
  }

  /** A nested object; one without fields if the field is missing or null. */
  object(field: string): RecordFields {
    const value = this.#fields[field] ?? {};
    if (!isObject(value)) throw this.refuse(field, { got: value, want: "an object" });
    return new RecordFields(this.subject, value, `${this.#path}${field}.`);
  }

  /** A list, as an object whose keys are the indexes; empty if the field is missing or null. */
  list(field: string, maxItems: number): RecordFields {
    const value = this.#fields[field] ?? [];
    if (Array.isArray(value) && value.length <= maxItems) {
      const items = value as unknown as Readonly<Record<string, unknown>>;
      return new RecordFields(this.subject, items, `${this.#path}${field}.`);
    }
    throw this.refuse(field, { got: value, want: `a list of at most ${maxItems}` });
  }

  /** A list of objects; empty if the field is missing or null. */
  objects(field: string, maxItems: number): RecordFields[] {
    if (!this.has(field)) return [];
    const list = this.list(field, maxItems);
    return list.keys(maxItems).map((index) => list.object(index));
  }

  /** A list of texts; empty if the field is missing or null. */
  texts(field: string, options: { maxItems: number; rule: TextRule }): string[] {
    const list = this.list(field, options.maxItems);
    return list.keys(options.maxItems).map((index) => list.text(index, options.rule));
  }

  /** The keys of this object, of which there may be at most `maxEntries`. */
  keys(maxEntries: number): string[] {
    const keys = Object.keys(this.#fields);
    if (keys.length > maxEntries) {
      const path = quoteShort(this.#path.slice(0, -1), SHOWN_PATH_MAX_LENGTH);
      throw refusal(
        this.subject,
        `field ${path} has ${keys.length} keys, want at most ${maxEntries}`,
      );
    }
    return keys;
  }

  /** A map of texts; empty if the field is missing or null. */
  textMap(
    field: string,
    options: { maxEntries: number; key: TextRule; value: TextRule },
  ): ReadonlyMap<string, string> {
    const object = this.object(field);
    const result = new Map<string, string>();
    for (const key of object.keys(options.maxEntries)) {
      object.checkKey(key, options.key);
      result.set(key, object.text(key, options.value));
    }
    return result;
  }

  /** A map with canonical address texts as keys; empty if the field is missing or null. */
  addressMap<V>(
    field: string,
    options: { maxEntries: number; value: (fields: RecordFields) => V },
  ): ReadonlyMap<string, V> {
    const object = this.object(field);
    const result = new Map<string, V>();
    for (const key of object.keys(options.maxEntries)) {
      const address = object.#addressFromText(key, key).text;
      if (result.has(address)) {
        throw refusal(
          this.subject,
          `field ${show(field)} holds ${address} twice, want every address once`,
        );
      }
      result.set(address, options.value(object.object(key)));
    }
    return result;
  }

  /** Throws unless the key of a map is allowed. */
  checkKey(key: string, rule: TextRule): void {
    if (key !== "__proto__" && textIsAllowed(key, rule)) return;
    throw refusal(
      this.subject,
      `field ${quoteShort(this.#path.slice(0, -1), SHOWN_PATH_MAX_LENGTH)} has the key ${show(key)}, want ${rule.want}`,
    );
  }

  #addressFromText(field: string, value: unknown): Address {
    const address = typeof value === "string" ? addressFromText(value) : undefined;
    if (address === undefined) throw this.refuse(field, { got: value, want: "an IP address" });
    const reserved = reservedAddressReason(address);
    if (reserved !== undefined) {
      throw this.refuse(field, { got: value, want: `an ordinary address, not ${reserved}` });
    }
    return address;
  }
}

/** Whether a text obeys a rule. An empty one does only where the rule says that it is optional. */
export function textIsAllowed(text: string, rule: TextRule): boolean {
  if (text === "") return rule.optional === true;
  if (text.length > rule.maxLength) return false;
  if (rule.pattern !== undefined) return rule.pattern.test(text);
  return text.isWellFormed() && !CONTROL_CHARACTER.test(text);
}

/** C0, DEL, C1, and the marks that turn text around on a screen. */
// oxlint-disable-next-line no-control-regex -- finding control characters is what it is for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function quoteShort(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}...` : text;
  return JSON.stringify(cut).replace(
    /[^\u0020-\u007e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** One pass over the bytes; brackets inside strings do not count. Does not check the syntax. */
function depthIsBounded(value: Buffer): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < value.length; i++) {
    const byte = value[i];
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > JSON_MAX_DEPTH) return false;
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    }
  }
  return true;
}

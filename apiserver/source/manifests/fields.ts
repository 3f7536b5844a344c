// Typed reading of YAML maps that never loses the place: every wrong value becomes an error with
// the line and column at which it stands. It knows YAML, not Kubernetes.
import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type YAMLMap } from "yaml";

/** A value that is not what it should be; `offset` is its place in the file's text. */
export class FieldError extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.name = "FieldError";
    this.offset = offset;
  }
}

/** More items in one list than any object of a real cluster has. */
const MAX_ITEMS = 100_000;

/** One YAML map and the path that leads to it. Absent and `null` fields are the same. */
export class Fields {
  readonly #map: YAMLMap;
  readonly #document: Document;
  readonly #path: string;

  constructor(node: unknown, place: { document: Document; path: string; offset: number }) {
    const map = resolve(node, place.document);
    if (!isMap(map)) {
      const what = place.path === "" ? "the document" : place.path;
      throw new FieldError(offsetOf(map) ?? place.offset, `Cannot use ${what}: want a map`);
    }
    this.#map = map;
    this.#document = place.document;
    this.#path = place.path;
    if (map.has("<<")) throw this.#wrong("<<", "merge keys are not supported");
  }

  /** Where this map begins. */
  get offset(): number {
    return offsetOf(this.#map) ?? 0;
  }

  has(name: string): boolean {
    return this.#node(name) !== undefined;
  }

  /** The place of a field's value, or of the map if the field is absent. */
  offsetOf(name: string): number {
    return offsetOf(this.#node(name)) ?? this.offset;
  }

  /** An error about a field that the caller has found wrong. */
  error(name: string, reason: string): FieldError {
    return this.#wrong(name, reason);
  }

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined || value === "") throw this.#wrong(name, "it is missing");
    return value;
  }

  optionalText(name: string): string | undefined {
    const value = this.#scalar(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.#wrong(name, `want text, got ${shown(value)}`);
  }

  boolean(name: string): boolean | undefined {
    const value = this.#scalar(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#wrong(name, `want true or false, got ${shown(value)}`);
  }

  integer(name: string, range: { min: number; max: number }): number | undefined {
    const value = this.#scalar(name);
    if (value === undefined) return undefined;
    const { min, max } = range;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw this.#wrong(name, `want a whole number from ${min} to ${max}, got ${shown(value)}`);
  }

  integerOrText(name: string, range: { min: number; max: number }): number | string | undefined {
    const value = this.#scalar(name);
    return typeof value === "string" ? value : this.integer(name, range);
  }

  /** A map of text to text, such as labels. */
  textMap(name: string): Map<string, string> {
    const result = new Map<string, string>();
    const fields = this.map(name);
    for (const key of fields?.names() ?? []) result.set(key, fields?.optionalText(key) ?? "");
    return result;
  }

  map(name: string): Fields | undefined {
    const node = this.#node(name);
    return node === undefined ? undefined : this.#child(node, name);
  }

  /** A list of maps; absent means empty. */
  maps(name: string): Fields[] {
    return this.#items(name).map((node, index) => this.#child(node, `${name}[${index}]`));
  }

  /** A list of texts; absent means empty. `parse` throws to refuse one. */
  texts<T>(name: string, parse: (text: string) => T): T[] {
    return this.#items(name).map((node, index) => {
      const path = `${name}[${index}]`;
      const value = isScalar(node) ? node.value : undefined;
      const offset = offsetOf(node) ?? this.offset;
      if (typeof value !== "string")
        throw new FieldError(offset, `Cannot use ${this.#at(path)}: want text`);
      return this.#attempt({ path, offset }, () => parse(value));
    });
  }

  /** A text that `parse` turns into a value or refuses by throwing. */
  parsed<T>(name: string, parse: (text: string) => T): T | undefined {
    const value = this.optionalText(name);
    if (value === undefined || value === "") return undefined;
    return this.#attempt({ path: name, offset: this.offsetOf(name) }, () => parse(value));
  }

  names(): string[] {
    return this.#map.items.map(({ key }) => {
      if (isScalar(key) && typeof key.value === "string") return key.value;
      const offset = offsetOf(key) ?? this.offset;
      throw new FieldError(offset, `Cannot use a key of ${this.#at("")}: want text in quotes`);
    });
  }

  #attempt<T>(place: { path: string; offset: number }, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FieldError(place.offset, `Cannot use ${this.#at(place.path)}: ${reason}`);
    }
  }

  #items(name: string): Node[] {
    const node = this.#node(name);
    if (node === undefined) return [];
    if (!isSeq(node)) throw this.#wrong(name, "want a list");
    if (node.items.length > MAX_ITEMS) throw this.#wrong(name, `more than ${MAX_ITEMS} items`);
    return node.items.map((item) => resolve(item, this.#document) as Node);
  }

  #child(node: unknown, name: string): Fields {
    const place = { document: this.#document, path: this.#at(name), offset: this.offset };
    return new Fields(node, place);
  }

  #scalar(name: string): unknown {
    const node = this.#node(name);
    if (node === undefined) return undefined;
    if (!isScalar(node)) throw this.#wrong(name, "want a single value");
    return node.value;
  }

  #node(name: string): Node | undefined {
    const node = resolve(this.#map.get(name, true), this.#document);
    return node === undefined || (isScalar(node) && node.value === null) ? undefined : node;
  }

  #at(name: string): string {
    if (this.#path === "") return name;
    return name === "" ? this.#path : `${this.#path}.${name}`;
  }

  #wrong(name: string, reason: string): FieldError {
    return new FieldError(this.offsetOf(name), `Cannot use ${this.#at(name)}: ${reason}`);
  }
}

function resolve(node: unknown, document: Document): Node | undefined {
  if (isAlias(node)) return node.resolve(document);
  return node as Node | undefined;
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | undefined)?.range?.[0];
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

// Typed reading of maps that never loses the place: every wrong value becomes an error with the
// path and offset at which it stands. It knows neither Kubernetes nor how the text was written:
// what the nodes are is a Tree's to say (manifests/yaml-tree.ts, kubernetes/json-tree.ts).

/** How the nodes of a parsed text are read. A node is whatever the tree's `root` and children are. */
export interface Tree {
  kind(node: unknown): "map" | "list" | "scalar";
  /** Undefined if a map has no such field. */
  field(map: unknown, name: string): unknown;
  /** Undefined in place of a key that is not text. */
  keys(map: unknown): readonly (string | undefined)[];
  items(list: unknown): readonly unknown[];
  scalar(node: unknown): unknown;
  /** Undefined where places are not kept. */
  offset(node: unknown): number | undefined;
}

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

/** One map and the path that leads to it. Absent and `null` fields are the same. */
export class Fields {
  readonly #map: unknown;
  readonly #tree: Tree;
  readonly #path: string;

  constructor(node: unknown, place: { tree: Tree; path: string; offset: number }) {
    const { tree, path, offset } = place;
    if (tree.kind(node) !== "map") {
      const what = path === "" ? "the document" : path;
      throw new FieldError(tree.offset(node) ?? offset, `Cannot use ${what}: want a map`);
    }
    this.#map = node;
    this.#tree = tree;
    this.#path = path;
    if (this.has("<<")) throw this.#wrong("<<", "merge keys are not supported");
  }

  /** Where this map begins. */
  get offset(): number {
    return this.#tree.offset(this.#map) ?? 0;
  }

  /** Where this map stands in its object: `spec.ingress[0]`; empty for the object itself. */
  get path(): string {
    return this.#path;
  }

  has(name: string): boolean {
    return this.#node(name) !== undefined;
  }

  /** The place of a field's value, or of the map if the field is absent. */
  offsetOf(name: string): number {
    return this.#tree.offset(this.#node(name)) ?? this.offset;
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

  /** How many items a list has; absent means none. */
  length(name: string): number {
    return this.#items(name).length;
  }

  /** A list of texts; absent means empty. `parse` throws to refuse one. */
  texts<T>(name: string, parse: (text: string) => T): T[] {
    return this.#items(name).map((node, index) => {
      const path = `${name}[${index}]`;
      const tree = this.#tree;
      const value = tree.kind(node) === "scalar" ? tree.scalar(node) : undefined;
      const offset = tree.offset(node) ?? this.offset;
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
    return this.#tree.keys(this.#map).map((key) => {
      if (key !== undefined) return key;
      const where = this.#at("");
      throw new FieldError(this.offset, `Cannot use a key of ${where}: want text in quotes`);
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

  #items(name: string): readonly unknown[] {
    const node = this.#node(name);
    if (node === undefined) return [];
    if (this.#tree.kind(node) !== "list") throw this.#wrong(name, "want a list");
    const items = this.#tree.items(node);
    if (items.length > MAX_ITEMS) throw this.#wrong(name, `more than ${MAX_ITEMS} items`);
    return items;
  }

  #child(node: unknown, name: string): Fields {
    return new Fields(node, { tree: this.#tree, path: this.#at(name), offset: this.offset });
  }

  #scalar(name: string): unknown {
    const node = this.#node(name);
    if (node === undefined) return undefined;
    if (this.#tree.kind(node) !== "scalar") throw this.#wrong(name, "want a single value");
    return this.#tree.scalar(node);
  }

  #node(name: string): unknown {
    const node = this.#tree.field(this.#map, name);
    if (node === undefined) return undefined;
    const isNull = this.#tree.kind(node) === "scalar" && this.#tree.scalar(node) === null;
    return isNull ? undefined : node;
  }

  #at(name: string): string {
    if (this.#path === "") return name;
    return name === "" ? this.#path : `${this.#path}.${name}`;
  }

  #wrong(name: string, reason: string): FieldError {
    return new FieldError(this.offsetOf(name), `Cannot use ${this.#at(name)}: ${reason}`);
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

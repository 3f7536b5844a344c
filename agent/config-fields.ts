// The fields of the agent's configuration file, each checked as it is taken, in words that say
// which one is wrong and what would be right. What the fields mean is config.ts's.
import { isAbsolute } from "node:path";
import { MeshError } from "../mesh/core/errors.ts";

/** One JSON object of the file with the place where it stands, for messages. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #place: { readonly path: string; readonly prefix: string };

  constructor(value: unknown, place: { readonly path: string; readonly prefix: string }) {
    this.#place = place;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const what = place.prefix === "" ? "the file" : `"${place.prefix.slice(0, -1)}"`;
      throw new MeshError(
        "invalid_argument",
        `Cannot use ${what} of agent configuration "${place.path}": want a JSON object`,
      );
    }
    this.#values = value as Record<string, unknown>;
  }

  get(name: string): unknown {
    return this.#values[name];
  }

  object(name: string, missing?: object): Fields {
    const place = { ...this.#place, prefix: `${this.#place.prefix}${name}.` };
    return new Fields(this.get(name) ?? missing, place);
  }

  text(
    name: string,
    rule: { readonly pattern: RegExp; readonly want: string; readonly missing?: string },
  ): string {
    const value = this.get(name) ?? rule.missing;
    if (typeof value !== "string" || !rule.pattern.test(value)) this.#refuse(name, rule.want);
    return value;
  }

  path(name: string, missing?: string): string {
    const value = this.get(name) ?? missing;
    if (typeof value !== "string" || !isAbsolute(value)) this.#refuse(name, "an absolute path");
    return value;
  }

  integer(
    name: string,
    rule: { readonly min: number; readonly max: number; readonly missing: number },
  ): number {
    const value = this.get(name) ?? rule.missing;
    const valid = typeof value === "number" && Number.isInteger(value);
    if (!valid || value < rule.min || value > rule.max)
      this.#refuse(name, `a whole number from ${rule.min} to ${rule.max}`);
    return value;
  }

  /** One of a few words. */
  choice<T extends string>(name: string, rule: { of: readonly T[]; missing: T }): T {
    const value = this.get(name) ?? rule.missing;
    const found = rule.of.find((word) => word === value);
    if (found === undefined) this.#refuse(name, `one of ${rule.of.join(", ")}`);
    return found;
  }

  flag(name: string, { missing }: { missing: boolean }): boolean {
    const value = this.get(name) ?? missing;
    if (typeof value !== "boolean") this.#refuse(name, "true or false");
    return value;
  }

  endpoints(name: string): readonly string[] {
    const value: unknown = this.get(name);
    const valid =
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((item: unknown) => typeof item === "string" && /^https:\/\/\S+:\d+$/.test(item));
    if (!valid) this.#refuse(name, 'a list of "https://ADDRESS:PORT"');
    return value as string[];
  }

  places(name: string): readonly string[] {
    const value: unknown = this.get(name);
    const valid =
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((item: unknown) => typeof item === "string" && /^[^\s/]+:\d{1,5}$/.test(item));
    if (!valid) this.#refuse(name, 'a list of "ADDRESS:PORT"');
    return value as string[];
  }

  listen(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string" || !/^\S+:\d{1,5}$/.test(value))
      this.#refuse(name, '"ADDRESS:PORT"');
    return value;
  }

  #refuse(name: string, want: string): never {
    throw new MeshError(
      "invalid_argument",
      `Cannot use "${this.#place.prefix}${name}" of agent configuration "${this.#place.path}": want ${want}`,
    );
  }
}

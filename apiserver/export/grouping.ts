// Keys by group: which objects stand in a namespace, on a node, behind a service.

export class Grouping {
  readonly #groups = new Map<string, Set<string>>();

  get(group: string): ReadonlySet<string> {
    return this.#groups.get(group) ?? new Set();
  }

  add(group: string, key: string): void {
    const keys = this.#groups.get(group);
    if (keys === undefined) this.#groups.set(group, new Set([key]));
    else keys.add(key);
  }

  remove(group: string, key: string): void {
    const keys = this.#groups.get(group);
    keys?.delete(key);
    if (keys?.size === 0) this.#groups.delete(group);
  }
}

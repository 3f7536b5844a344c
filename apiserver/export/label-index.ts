// Which pods does a selector choose, and which selectors choose a pod, without looking at every
// pod or every service: both are filed by namespace and one label.

export interface Labelled {
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** Pods by each of their labels. */
export class LabelIndex {
  readonly #filed = new Map<string, Map<string, Labelled>>();

  add(key: string, object: Labelled): void {
    for (const place of places(object)) {
      const filed = this.#filed.get(place);
      if (filed === undefined) this.#filed.set(place, new Map([[key, object]]));
      else filed.set(key, object);
    }
  }

  remove(key: string, object: Labelled): void {
    for (const place of places(object)) {
      const filed = this.#filed.get(place);
      filed?.delete(key);
      if (filed?.size === 0) this.#filed.delete(place);
    }
  }

  /** Keys of the objects that have all of the selector's labels; none for an empty selector. */
  select(namespace: string, selector: ReadonlyMap<string, string>): string[] {
    let smallest: Map<string, Labelled> | undefined;
    for (const label of selector) {
      const filed = this.#filed.get(placeOf(namespace, label));
      if (filed === undefined) return [];
      if (smallest === undefined || filed.size < smallest.size) smallest = filed;
    }
    const candidates = [...(smallest ?? [])];
    return candidates
      .filter(([, { labels }]) => selectorMatches(selector, labels))
      .map(([key]) => key);
  }
}

/** Services by the first label of their selector. */
export class SelectorIndex {
  readonly #filed = new Map<string, Map<string, ReadonlyMap<string, string>>>();

  add(key: string, service: { namespace: string; selector: ReadonlyMap<string, string> }): void {
    const place = firstPlace(service);
    if (place === undefined) return;
    const filed = this.#filed.get(place) ?? new Map<string, ReadonlyMap<string, string>>();
    this.#filed.set(place, filed.set(key, service.selector));
  }

  remove(key: string, service: { namespace: string; selector: ReadonlyMap<string, string> }): void {
    const place = firstPlace(service);
    if (place === undefined) return;
    const filed = this.#filed.get(place);
    filed?.delete(key);
    if (filed?.size === 0) this.#filed.delete(place);
  }

  /** Keys of the services that select the pod. */
  selecting(pod: Labelled): string[] {
    const keys: string[] = [];
    for (const place of places(pod)) {
      for (const [key, selector] of this.#filed.get(place) ?? []) {
        if (selectorMatches(selector, pod.labels)) keys.push(key);
      }
    }
    return keys;
  }
}

function selectorMatches(
  selector: ReadonlyMap<string, string>,
  labels: ReadonlyMap<string, string>,
): boolean {
  for (const [name, value] of selector) {
    if (labels.get(name) !== value) return false;
  }
  return true;
}

function firstPlace(service: {
  namespace: string;
  selector: ReadonlyMap<string, string>;
}): string | undefined {
  for (const label of service.selector) return placeOf(service.namespace, label);
  return undefined;
}

function* places(object: Labelled): Generator<string> {
  for (const label of object.labels) yield placeOf(object.namespace, label);
}

/** Neither namespaces nor label names hold a space, so no two places have one text. */
function placeOf(namespace: string, [name, value]: readonly [string, string]): string {
  return `${namespace} ${name} ${value}`;
}

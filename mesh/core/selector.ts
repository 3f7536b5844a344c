// Which label sets a selector means: Kubernetes' match labels and expressions, over the labels of
// an identity (`source:key` → value). Pure.

export type SelectorOperator = "In" | "NotIn" | "Exists" | "DoesNotExist";

/** One condition. */
export interface Requirement {
  /** `source:key`; the source `any` stands for every source. */
  readonly key: string;
  readonly operator: SelectorOperator;
  /** Sorted, each once; empty for `Exists` and `DoesNotExist`. */
  readonly values: readonly string[];
}

/** All of its requirements must hold; without any it means every label set. */
export type LabelSelector = readonly Requirement[];

/** `source:key` → value, as in an identity. */
export type Labels = ReadonlyMap<string, string>;

const ANY_SOURCE = "any:";

/** Canonical: the requirements and their values sorted, each once. */
export function createSelector(requirements: Iterable<Requirement>): LabelSelector {
  const byText = new Map<string, Requirement>();
  for (const { key, operator, values } of requirements) {
    const requirement = { key, operator, values: [...new Set(values)].sort() };
    byText.set(requirementText(requirement), requirement);
  }
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, requirement]) => requirement);
}

/** The same text for the same conditions, as a key; people may read it too. */
export function selectorText(selector: LabelSelector): string {
  return selector.map(requirementText).join(", ");
}

/** Kubernetes' rules: `NotIn` holds as well where there is no such key. */
export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  return selector.every((requirement) => requirementHolds(requirement, labels));
}

/** `["k8s:app=cart", …]`, as identities are written, as a map. The first "=" ends the key. */
export function labelsFromTexts(texts: Iterable<string>): Labels {
  const labels = new Map<string, string>();
  for (const text of texts) {
    const end = text.indexOf("=");
    labels.set(end < 0 ? text : text.slice(0, end), end < 0 ? "" : text.slice(end + 1));
  }
  return labels;
}

function requirementHolds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const found = valuesOf(key, labels);
  switch (operator) {
    case "Exists":
      return found.length > 0;
    case "DoesNotExist":
      return found.length === 0;
    case "In":
      return found.some((value) => values.includes(value));
    case "NotIn":
      return !found.some((value) => values.includes(value));
  }
}

function valuesOf(key: string, labels: Labels): readonly string[] {
  if (!key.startsWith(ANY_SOURCE)) {
    const value = labels.get(key);
    return value === undefined ? [] : [value];
  }
  const wanted = key.slice(ANY_SOURCE.length);
  return [...labels].flatMap(([name, value]) =>
    name.slice(name.indexOf(":") + 1) === wanted ? [value] : [],
  );
}

function requirementText({ key, operator, values }: Requirement): string {
  switch (operator) {
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
    case "In":
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(",")})`;
    case "NotIn":
      return `${key} notin (${values.join(",")})`;
  }
}

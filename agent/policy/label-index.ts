// Which identities have a label: the labels of all identities, each label once, so that a selector
// is tried only against those that can match. No logic of selectors but what one condition needs.
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { Labels, Requirement } from "../../mesh/core/selector.ts";

export interface LabelIndex {
  /** Replaces the identity's labels; undefined takes it out. */
  set(identity: IdentityNumber, labels: Labels | undefined): void;
  has(identity: IdentityNumber): boolean;
  labelsOf(identity: IdentityNumber): Labels | undefined;
  identities(): Iterable<IdentityNumber>;
  /**
   * Sets that together hold everybody for whom the condition is true (and nobody else); undefined
   * for a condition that what is missing makes true.
   */
  holders(requirement: Requirement): readonly ReadonlySet<IdentityNumber>[] | undefined;
}

interface Label {
  readonly key: string;
  readonly value: string;
  readonly identities: Set<IdentityNumber>;
}

const ANY_SOURCE = "any:";

export function createLabelIndex(): LabelIndex {
  /** `source:key` → value → label. */
  const byKey = new Map<string, Map<string, Label>>();
  /** `any:key` → every `source:key` there is. */
  const bySource = new Map<string, Set<string>>();
  const labelsByIdentity = new Map<IdentityNumber, readonly Label[]>();

  function labelFor(key: string, value: string): Label {
    let values = byKey.get(key);
    if (values === undefined) {
      byKey.set(key, (values = new Map()));
      const anySource = withAnySource(key);
      const keys = bySource.get(anySource);
      if (keys === undefined) bySource.set(anySource, new Set([key]));
      else keys.add(key);
    }
    let label = values.get(value);
    if (label === undefined) values.set(value, (label = { key, value, identities: new Set() }));
    return label;
  }

  function forget({ key, value }: Label): void {
    const values = byKey.get(key);
    values?.delete(value);
    if (values?.size !== 0) return;
    byKey.delete(key);
    const keys = bySource.get(withAnySource(key));
    keys?.delete(key);
    if (keys?.size === 0) bySource.delete(withAnySource(key));
  }

  return {
    set(identity, labels) {
      const before = labelsByIdentity.get(identity) ?? [];
      if (labels === undefined) labelsByIdentity.delete(identity);
      else {
        const now = [...labels].map(([key, value]) => labelFor(key, value));
        for (const label of now) label.identities.add(identity);
        labelsByIdentity.set(identity, now);
      }
      for (const label of before) {
        if (labels?.get(label.key) === label.value) continue;
        label.identities.delete(identity);
        if (label.identities.size === 0) forget(label);
      }
    },
    has: (identity) => labelsByIdentity.has(identity),
    labelsOf(identity) {
      const labels = labelsByIdentity.get(identity);
      return labels && new Map(labels.map(({ key, value }) => [key, value]));
    },
    identities: () => labelsByIdentity.keys(),
    holders({ key, operator, values }) {
      if (operator === "NotIn" || operator === "DoesNotExist") return undefined;
      const keys = key.startsWith(ANY_SOURCE) ? (bySource.get(key) ?? []) : [key];
      return [...keys].flatMap((source) => {
        const labels = byKey.get(source);
        if (labels === undefined) return [];
        const wanted = operator === "Exists" ? labels.keys() : values;
        return [...wanted].flatMap((value) => labels.get(value)?.identities ?? []);
      });
    },
  };
}

/** `k8s:app` → `any:app`. */
export function withAnySource(key: string): string {
  return ANY_SOURCE + key.slice(key.indexOf(":") + 1);
}

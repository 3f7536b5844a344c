// Label selectors as Kubernetes writes them → requirements over identities' labels. Pure. What a
// key means is the language's to say; a key that identities do not carry is told apart, because
// what it asks for can neither be seen nor be taken for absent.
import type { Requirement, SelectorOperator } from "../../../mesh/core/selector.ts";
import {
  identityCarriesKey,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
} from "../../../mesh/kvstore/records/identity-labels.ts";
import type { Fields } from "../fields.ts";
import { unknownFields } from "./refusals.ts";

export interface ReadSelector {
  readonly requirements: readonly Requirement[];
  /** Requirements on reserved identities: `key` is the identity's name. */
  readonly reserved: readonly Requirement[];
  /** What of it cannot be honoured: which field, and why. */
  readonly faults: readonly { readonly name: string; readonly reason: string }[];
}

export type KeyMeaning =
  /** `source:key`, as in `Requirement`. */
  | { readonly kind: "label"; readonly key: string }
  | { readonly kind: "reserved"; readonly name: string }
  | { readonly kind: "none"; readonly reason: string };

const OPERATORS: readonly SelectorOperator[] = ["In", "NotIn", "Exists", "DoesNotExist"];
/** Kubernetes gives it to every namespace, and manifests often do not. */
const NAMESPACE_NAME_KEY = "kubernetes.io/metadata.name";

/** `undefined` means an empty selector. */
export function readSelector(
  fields: Fields | undefined,
  meaningOf: (key: string) => KeyMeaning,
): ReadSelector {
  const requirements: Requirement[] = [];
  const reserved: Requirement[] = [];
  const faults: { name: string; reason: string }[] = [];
  const add = (
    name: string,
    { key, operator, values }: { key: string; operator: SelectorOperator; values: string[] },
  ): void => {
    const meaning = meaningOf(key);
    if (meaning.kind === "none") faults.push({ name, reason: meaning.reason });
    else if (meaning.kind === "label") requirements.push({ key: meaning.key, operator, values });
    else reserved.push({ key: meaning.name, operator, values });
  };
  for (const [key, value] of fields?.textMap("matchLabels") ?? []) {
    add(`matchLabels.${key}`, { key, operator: "In", values: [value] });
  }
  for (const [index, expression] of (fields?.maps("matchExpressions") ?? []).entries()) {
    add(`matchExpressions[${index}]`, readExpression(expression));
  }
  const known = ["matchLabels", "matchExpressions"];
  for (const name of fields === undefined ? [] : unknownFields(fields, known)) {
    faults.push({ name, reason: `a selector has no "${name}" here` });
  }
  return { requirements, reserved, faults };
}

function readExpression(fields: Fields): {
  key: string;
  operator: SelectorOperator;
  values: string[];
} {
  const key = fields.text("key");
  const text = fields.text("operator");
  const operator = OPERATORS.find((known) => known === text);
  if (operator === undefined) throw fields.error("operator", `want ${OPERATORS.join(", ")}`);
  const values = fields.texts("values", (value) => value);
  const takesValues = operator === "In" || operator === "NotIn";
  if (takesValues && values.length === 0) {
    throw fields.error("values", `want at least one beside ${operator}`);
  }
  if (!takesValues && values.length > 0) {
    throw fields.error("values", `want none beside ${operator}`);
  }
  return { key, operator, values };
}

/** A label of pods in a NetworkPolicy. */
export function podLabelKey(key: string): KeyMeaning {
  return identityCarriesKey(key) ? { kind: "label", key: `k8s:${key}` } : notCarried(key);
}

/** A label of namespaces in a NetworkPolicy. */
export function namespaceLabelKey(key: string): KeyMeaning {
  if (key === NAMESPACE_NAME_KEY) return { kind: "label", key: NAMESPACE_LABEL };
  return podLabelKey(`${NAMESPACE_LABELS_PREFIX.slice("k8s:".length)}${key}`);
}

/** A label in Cilium's words: `source:key`, or a key of any source. */
export function ciliumLabelKey(text: string): KeyMeaning {
  const colon = text.indexOf(":");
  const source = colon < 0 ? "any" : text.slice(0, colon);
  const key = text.slice(colon + 1);
  if (source === "reserved") return { kind: "reserved", name: key };
  if (source !== "k8s" && source !== "any") {
    return { kind: "none", reason: `pods have no labels of the source "${source}"` };
  }
  if (`k8s:${key}` === `${NAMESPACE_LABELS_PREFIX}${NAMESPACE_NAME_KEY}`) {
    return { kind: "label", key: NAMESPACE_LABEL };
  }
  return identityCarriesKey(key) ? { kind: "label", key: `${source}:${key}` } : notCarried(key);
}

function notCarried(key: string): KeyMeaning {
  return { kind: "none", reason: `the label "${key}" is not part of identities` };
}

/** Whether a requirement asks for the key, rather than for its absence or another value. */
export function isPositive({ operator }: Requirement): boolean {
  return operator === "In" || operator === "Exists";
}

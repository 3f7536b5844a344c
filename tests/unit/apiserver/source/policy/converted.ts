// Policies written as people write them, in YAML, converted; for the tests of the converters.
import { parseManifestFile } from "../../../../../apiserver/source/manifests/parse-file.ts";
import type {
  PolicyObject,
  RuleObject,
  TrafficObject,
} from "../../../../../apiserver/source/policy/policy-object.ts";

export interface Converted {
  readonly policy: PolicyObject;
  readonly rule: RuleObject;
  /** `LINE: message`. */
  readonly problems: readonly string[];
  /** `path: message`. */
  readonly refusals: readonly string[];
}

export function problemsOf(text: string): string[] {
  return parseManifestFile("a.yaml", text).problems.map(
    ({ line, message }) => `${line}: ${message}`,
  );
}

export function converted(text: string): Converted {
  const { objects } = parseManifestFile("a.yaml", text);
  const problems = problemsOf(text);
  const object = objects[0]?.object;
  if (object === undefined || !("rules" in object)) {
    throw new Error(`no policy: ${problems.join("; ")}`);
  }
  return {
    policy: object,
    // What there is none of is not looked at by who asks for it.
    rule: object.rules[0] as RuleObject,
    problems,
    refusals: object.refusals.map(({ path, message }) => `${path}: ${message}`),
  };
}

/** A NetworkPolicy "web" of "shop"; the spec is indented by two, and begins in line 4. */
export function networkPolicy(spec: string): Converted {
  return converted(networkPolicyText(spec));
}

export function networkPolicyText(spec: string): string {
  const head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n";
  return `${head}metadata: {name: web, namespace: shop}\nspec:\n${indented(spec)}`;
}

/** A CiliumNetworkPolicy "web" of "shop". */
export function ciliumPolicy(spec: string): Converted {
  return converted(ciliumPolicyText(spec));
}

export function ciliumPolicyText(spec: string): string {
  const head = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n";
  return `${head}metadata: {name: web, namespace: shop}\nspec:\n${indented(spec)}`;
}

export function clusterwidePolicy(spec: string): Converted {
  const head = "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\n";
  return converted(`${head}metadata: {name: base}\nspec:\n${indented(spec)}`);
}

/** The only rule for a section of a policy that is about everybody in its namespace. */
export function ciliumRule(
  section: string,
  rule: string,
): TrafficObject & Pick<Converted, "refusals"> {
  const { rule: whole, refusals } = ciliumPolicy(
    `endpointSelector: {}\n${section}:\n- ${rule.trim().replaceAll("\n", "\n  ")}`,
  );
  const traffic = section.startsWith("ingress") ? whole.ingress : whole.egress;
  return { ...(traffic[0] as TrafficObject), refusals };
}

function indented(text: string): string {
  return text
    .trim()
    .split("\n")
    .map((line) => `  ${line}\n`)
    .join("");
}

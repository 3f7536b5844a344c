// What stands for a policy that could never be read: closed for all that it may be about. Pure.
import { POLICY_KINDS, type PolicyKind } from "../../../mesh/core/policy.ts";
import type { LabelSelector } from "../../../mesh/core/selector.ts";
import { closedPolicy } from "../../../mesh/kvstore/records/policy.ts";
import type { Fields } from "../fields.ts";
import { metadata, namespaceName, objectName } from "../metadata.ts";
import type { SourceObject } from "../objects.ts";
import { ciliumSubjects } from "./cilium-policy.ts";
import { networkPolicySubject } from "./network-policy.ts";

/** Undefined for other kinds, and for an object that cannot even be named. */
export function closedObject(
  fields: Fields,
  { kind, reason }: { readonly kind: string; readonly reason: string },
): SourceObject | undefined {
  const known = POLICY_KINDS.find((each) => each === kind);
  if (known === undefined) return undefined;
  try {
    const meta = metadata(fields);
    const namespace = known === "CiliumClusterwideNetworkPolicy" ? "" : namespaceName(meta);
    const name = objectName(meta);
    const subjects = readSubjects(fields, { kind: known, namespace });
    const { rules, refusals } = closedPolicy({ kind: known, namespace, name, subjects }, reason);
    return ofKind(known, { namespace, name, rules, refusals });
  } catch {
    return undefined; // Its own error has been told already.
  }
}

/** Undefined if not even they can be read. */
function readSubjects(
  fields: Fields,
  { kind, namespace }: { readonly kind: PolicyKind; readonly namespace: string },
): LabelSelector[] | undefined {
  try {
    if (kind === "NetworkPolicy") return [networkPolicySubject(fields, namespace)];
    return ciliumSubjects(fields, namespace);
  } catch {
    return undefined; // Then it may be about anybody.
  }
}

type Contents = Omit<Extract<SourceObject, { kind: "NetworkPolicy" }>, "kind">;

/** Spelt out so that the compiler sees one kind at a time. */
function ofKind(kind: PolicyKind, contents: Contents): SourceObject {
  switch (kind) {
    case "NetworkPolicy":
      return { kind, ...contents };
    case "CiliumNetworkPolicy":
      return { kind, ...contents };
    case "CiliumClusterwideNetworkPolicy":
      return { kind, ...contents };
  }
}

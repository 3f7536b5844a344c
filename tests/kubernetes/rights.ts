// The rules of rendered roles taken apart into single rights, and roles without one of them.
import type { AccessRule } from "../../mesh/install/access-rules.ts";
import type { Manifest } from "../../mesh/install/manifest.ts";
import type { AuditedRequest } from "./audit.ts";

/** One verb of one resource, of one name where the rule has names. */
export interface Right {
  readonly account: string;
  readonly role: Manifest;
  readonly rule: AccessRule;
  readonly verb: string;
  /** With its group, as "leases.coordination.k8s.io". */
  readonly resource: string;
  readonly name: string | undefined;
}

/** A role is called after the account that has it. */
export function rightsOf(roles: readonly Manifest[]): Right[] {
  return roles.flatMap((role) =>
    rulesOf(role).flatMap((rule) =>
      rule.resources.flatMap((resource) =>
        rule.verbs.flatMap((verb) =>
          (rule.resourceNames ?? [undefined]).map((name) => ({
            account: role.metadata.name,
            role,
            rule,
            verb,
            resource: withGroup(resource, rule),
            name,
          })),
        ),
      ),
    ),
  );
}

export function describeRight({ verb, resource, name }: Right): string {
  return [verb, resource, name].filter((part) => part !== undefined).join(" ");
}

export function rulesOf(role: Manifest): readonly AccessRule[] {
  return role["rules"] as readonly AccessRule[];
}

/** The rules of their one role without these rights, and with all others. */
export function rulesWithout(removed: readonly Right[]): AccessRule[] {
  const [first] = removed;
  if (first === undefined) return [];
  const others = rightsOf([first.role]).filter((right) => !removed.some((one) => same(one, right)));
  return others.map(({ rule, verb, resource, name }) => ({
    apiGroups: rule.apiGroups,
    resources: rule.resources.filter((one) => withGroup(one, rule) === resource),
    ...(name === undefined ? {} : { resourceNames: [name] }),
    verbs: [verb],
  }));
}

function same(a: Right, b: Right): boolean {
  return a.rule === b.rule && describeRight(a) === describeRight(b);
}

function withGroup(resource: string, { apiGroups }: AccessRule): string {
  return [resource, ...apiGroups].filter((part) => part !== "").join(".");
}

/** Whether the API server would allow it now; `post` asks as an administrator. */
export async function isAllowed(
  { account, role, verb, resource, name }: Right,
  { namespace, post }: { namespace: string; post: <T>(path: string, body: object) => Promise<T> },
): Promise<boolean> {
  const [plural = "", ...group] = resource.split(".");
  const place = role.kind === "Role" ? { namespace } : {};
  const names = name === undefined ? {} : { name };
  const { status } = await post<{ status: { allowed: boolean } }>(
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:${namespace}:${account}`,
        resourceAttributes: { ...place, ...names, verb, group: group.join("."), resource: plural },
      },
    },
  );
  return status.allowed;
}

/** Whether the request is one that needs the right. */
export function isUse(request: AuditedRequest, { account, verb, resource, name }: Right): boolean {
  const same = request.account === account && request.verb === verb;
  return same && request.resource === resource && (name ?? request.name) === request.name;
}

import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { shardCount } from "../../../../apiserver/identity/shards.ts";
import {
  AGENT_RULES,
  APISERVER_CLUSTER_RULES,
  APISERVER_RULES,
  type AccessRule,
} from "../../../../mesh/install/access-rules.ts";
import { MAX_IDENTITIES_SHARDS } from "../../../../mesh/kubernetes/object-names.ts";
import { ROOT } from "../../../sources.ts";

/** "VERB RESOURCE NAMES" of every right. */
function rightsOf(rules: readonly AccessRule[]): string[] {
  const rights = rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    resources.flatMap((resource) =>
      verbs.map((verb) => {
        const whole = [resource, ...apiGroups].filter(Boolean).join(".");
        return `${verb} ${whole} ${(resourceNames ?? ["all"]).join()}`;
      }),
    ),
  );
  return rights.sort();
}

/** The same of the page's table behind `heading`. */
function rightsOfTable(page: string, heading: string): string[] {
  const [, table = ""] = page.split(heading);
  const rows = (/\n\n(\|[^]*?)\n\n/.exec(table)?.[1] ?? "").split("\n").slice(2);
  const rights = rows.flatMap((row) => {
    const [, resources = "", names = "", verbs = ""] = row.split("|");
    return quoted(resources).flatMap((resource) =>
      quoted(verbs).map((verb) => `${verb} ${resource} ${namesOf(names)}`),
    );
  });
  return rights.sort();
}

const quoted = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, it = ""]) => it);

/** "`a-0` to `a-3`" → the four names. */
function namesOf(cell: string): string {
  const [first, last] = quoted(cell);
  if (first === undefined) return cell.trim();
  if (last === undefined) return first;
  const prefix = first.replace(/\d+$/, "");
  const count = Number(last.slice(prefix.length)) + 1;
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`).join();
}

describe("access rules", () => {
  const page = readFileSync(join(ROOT, "docs/kubernetes.md"), "utf8");
  for (const [heading, rules] of [
    ["Service account `tombolo-apiserver`, in the whole cluster:", APISERVER_CLUSTER_RULES],
    ["\nIn its own namespace:", APISERVER_RULES],
    ["Service account `tombolo-agent`, in its own namespace only:", AGENT_RULES],
  ] as const) {
    test(`stand in docs/kubernetes.md: ${heading.trim()}`, () => {
      expect(rightsOfTable(page, heading)).toEqual(rightsOf(rules));
    });
  }

  test("name every ConfigMap that identities may be in, and no other", () => {
    const shards = [255, 511].map((maxConnectedClusters) =>
      shardCount({ name: "east", id: 1, maxConnectedClusters } as Parameters<typeof shardCount>[0]),
    );
    expect(Math.max(...shards)).toBe(MAX_IDENTITIES_SHARDS);
  });
});

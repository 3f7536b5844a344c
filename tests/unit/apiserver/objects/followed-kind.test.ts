import { describe, expect, test } from "@jest/globals";
import { FollowedKind } from "../../../../apiserver/objects/followed-kind.ts";
import type { ApiObject, WatchChange } from "../../../../mesh/kubernetes/watch-state.ts";

const object = (name: string, resourceVersion = "1"): ApiObject => ({
  metadata: { name, namespace: "mesh", resourceVersion },
});
const put = (of: ApiObject): WatchChange => ({ kind: "put", object: of });

function follow(): { kind: FollowedKind<ApiObject>; changes: () => number } {
  let changes = 0;
  const kind = new FollowedKind<ApiObject>({
    keep: (of) => (of.metadata.name.startsWith("x") ? undefined : of),
    changed: () => changes++,
  });
  return { kind, changes: () => changes };
}

const names = (kind: FollowedKind<ApiObject>): string[] =>
  kind.all().map(({ metadata }) => metadata.name);

describe("FollowedKind", () => {
  test("keeps what concerns us, by name, and tells of changes in that", () => {
    const { kind, changes } = follow();
    for (const name of ["b", "x", "a"]) kind.apply(put(object(name)));
    expect(names(kind)).toEqual(["a", "b"]);
    expect(changes()).toBe(2);
    kind.apply(put(object("a", "2")));
    expect(kind.find("a")?.metadata.resourceVersion).toBe("2");
    kind.apply({ kind: "delete", key: "mesh/b" });
    kind.apply({ kind: "delete", key: "mesh/x" });
    expect(names(kind)).toEqual(["a"]);
    expect(changes()).toBe(4);
  });

  test("is whole after a list, which takes away what it lacks", () => {
    const { kind } = follow();
    for (const name of ["a", "b"]) kind.apply(put(object(name)));
    expect(kind.whole).toBe(false);
    kind.apply({ kind: "retain", keys: new Set(["mesh/b", "mesh/x"]) });
    expect(kind.whole).toBe(true);
    expect(names(kind)).toEqual(["b"]);
  });

  test("an empty list is one, too", () => {
    const { kind, changes } = follow();
    kind.apply({ kind: "retain", keys: new Set() });
    expect(kind.whole).toBe(true);
    expect(changes()).toBe(1);
  });

  test("an answer to our own write is known at once, without a change", () => {
    const { kind, changes } = follow();
    kind.put(object("a", "7"));
    expect(kind.find("a")?.metadata.resourceVersion).toBe("7");
    expect(changes()).toBe(0);
  });
});

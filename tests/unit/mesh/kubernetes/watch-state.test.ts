import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  apiObjectKey,
  FIRST_PAGE_SIZE,
  INITIAL_WATCH_STATE,
  stepWatch,
  type ApiObject,
  type WatchChange,
  type WatchInput,
  type WatchState,
} from "../../../../mesh/kubernetes/watch-state.ts";

const object = (name: string, resourceVersion = "1"): ApiObject => ({
  metadata: { namespace: "shop", name, resourceVersion },
});
const page = (names: readonly string[], continueToken = ""): WatchInput => ({
  kind: "page",
  items: names.map((name) => object(name)),
  resourceVersion: "10",
  continueToken,
});
const event = (
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK",
  resourceVersion: string,
): WatchInput => ({ kind: "event", type, object: object("a", resourceVersion) });

/** The state and all changes after several answers. */
function run(...inputs: readonly WatchInput[]): { state: WatchState; changes: WatchChange[] } {
  let state = INITIAL_WATCH_STATE;
  const changes: WatchChange[] = [];
  for (const input of inputs) {
    const step = stepWatch(state, input);
    state = step.state;
    changes.push(...step.changes);
  }
  return { state, changes };
}

describe("stepWatch()", () => {
  test("believes a page at once, and deletes what a list lacks only after its last page", () => {
    const first = run(page(["a"], "more"));
    expect(first.state).toMatchObject({ phase: "list", continueToken: "more" });
    expect(first.changes).toEqual([{ kind: "put", object: object("a") }]);
    const last = run(page(["a"], "more"), page(["b"]));
    expect(last.state).toEqual({ phase: "watch", resourceVersion: "10", proven: true });
    expect(last.changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["shop/a", "shop/b"]) });
  });

  test("follows versions of events and bookmarks; a bookmark changes nothing else", () => {
    const { state, changes } = run(page([]), event("MODIFIED", "12"), event("BOOKMARK", "15"));
    expect(state).toEqual({ phase: "watch", resourceVersion: "15", proven: true });
    expect(changes.slice(1)).toEqual([{ kind: "put", object: object("a", "12") }]);
    const deleted = run(page([]), event("DELETED", "16"));
    expect(deleted.changes.at(-1)).toEqual({ kind: "delete", key: "shop/a" });
  });

  test("lists again, without deleting anything, when the version is gone", () => {
    const { state, changes } = run(page(["a"]), { kind: "gone" });
    expect(state).toEqual(INITIAL_WATCH_STATE);
    expect(changes.filter(({ kind }) => kind !== "put")).toHaveLength(1);
  });

  test("begins a list that expired between pages anew, with larger pages and an empty memory", () => {
    const { state } = run(page(["a"], "more"), { kind: "gone" });
    expect(state).toEqual({
      phase: "list",
      pageSize: FIRST_PAGE_SIZE * 10,
      continueToken: "",
      listed: new Set(),
    });
  });

  test("lists again when versions go back, and does not believe that event", () => {
    const { state, changes } = run(page([]), event("ADDED", "9"));
    expect(state).toEqual(INITIAL_WATCH_STATE);
    expect(changes).toHaveLength(1);
    expect(run(page([]), event("ADDED", "opaque")).state).toEqual({
      phase: "watch",
      resourceVersion: "opaque",
      proven: true,
    });
    // As text "9" is larger than "10": numbers are compared.
    expect(run(page([]), event("ADDED", "100")).state).toMatchObject({ resourceVersion: "100" });
  });

  test("asks before it begins a watch again, and lists again when the server has come less far", () => {
    const ended = run(page(["a"]), event("MODIFIED", "20"), { kind: "ended" });
    expect(ended.state).toEqual({ phase: "watch", resourceVersion: "20", proven: false });
    const present = (resourceVersion: string): WatchState =>
      stepWatch(ended.state, { kind: "present", resourceVersion }).state;
    expect(present("20")).toEqual({ phase: "watch", resourceVersion: "20", proven: true });
    expect(present("31")).toEqual({ phase: "watch", resourceVersion: "20", proven: true });
    expect(present("19")).toEqual(INITIAL_WATCH_STATE);
  });

  test("lists again in small pages when in doubt, wherever it was", () => {
    expect(run(page(["a"], "more"), { kind: "doubt" }).state).toEqual(INITIAL_WATCH_STATE);
    expect(run(page(["a"]), { kind: "doubt" }).state).toEqual(INITIAL_WATCH_STATE);
  });

  test("ignores answers to questions that it no longer asks", () => {
    const watching = run(page(["a"])).state;
    expect(stepWatch(watching, page(["z"]))).toEqual({ state: watching, changes: [] });
    const late = stepWatch(INITIAL_WATCH_STATE, event("ADDED", "11"));
    expect(late).toEqual({ state: INITIAL_WATCH_STATE, changes: [] });
  });

  test("leaves exactly what the last whole list and the events after it hold", () => {
    const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"));
    const change = fc.record({ name: fc.constantFrom("a", "b", "c", "d"), gone: fc.boolean() });
    fc.assert(
      fc.property(names, names, fc.array(change), (before, after, events) => {
        const table = new Set<string>();
        const wanted = new Set(after);
        const inputs: WatchInput[] = [page(before), { kind: "gone" }];
        inputs.push(page(after.slice(0, 1), "more"), page(after.slice(1)));
        for (const [i, { name, gone }] of events.entries()) {
          const type = gone ? "DELETED" : "MODIFIED";
          inputs.push({ kind: "event", type, object: object(name, String(11 + i)) });
          if (gone) wanted.delete(name);
          else wanted.add(name);
        }
        for (const found of run(...inputs).changes) {
          if (found.kind === "put") table.add(apiObjectKey(found.object));
          else if (found.kind === "delete") table.delete(found.key);
          else for (const key of table) if (!found.keys.has(key)) table.delete(key);
        }
        expect(table).toEqual(new Set([...wanted].map((name) => `shop/${name}`)));
      }),
    );
  });
});

describe("apiObjectKey()", () => {
  test("is the name alone for objects without a namespace", () => {
    expect(apiObjectKey({ metadata: { name: "n1" } })).toBe("n1");
    expect(apiObjectKey(object("a"))).toBe("shop/a");
  });
});

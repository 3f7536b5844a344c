import { beforeEach, describe, expect, test } from "@jest/globals";
import { UPDATE_ATTEMPTS, updateObject } from "../../../../mesh/kubernetes/update-object.ts";
import type { ApiObject } from "../../../../mesh/kubernetes/watch-state.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

interface Note extends ApiObject {
  readonly data: { readonly words: string };
}

const never = new AbortController().signal;
const collection = "/api/v1/namespaces/mesh/configmaps";
const path = `${collection}/note`;
let api: MemoryKubernetes;

beforeEach(() => {
  api = createMemoryKubernetes();
});

function note(words: string): Note {
  return { metadata: { name: "note" }, data: { words } };
}

/** Adds a word to what is there. */
function add(word: string): Promise<void> {
  const change = (current: Note | undefined): Note => {
    const words = current === undefined ? word : `${current.data.words} ${word}`;
    return { ...(current ?? note("")), data: { words } };
  };
  return updateObject<Note>(api, { collection, name: "note", change }, never);
}

function words(): string | undefined {
  return (api.objects.get(path) as Note | undefined)?.data.words;
}

describe("updateObject()", () => {
  test("creates, replaces and deletes", async () => {
    await add("one");
    await add("two");
    expect(words()).toBe("one two");
    await updateObject<Note>(api, { collection, name: "note", change: () => undefined }, never);
    expect(words()).toBeUndefined();
  });

  test("writes nothing when nothing changes, also when there is nothing", async () => {
    const change = (current: Note | undefined) => current;
    await updateObject<Note>(api, { collection, name: "note", change }, never);
    await add("one");
    const before = api.writes();
    await updateObject<Note>(api, { collection, name: "note", change }, never);
    expect(api.writes()).toBe(before);
  });

  test.each(["changed", "deleted", "created"])(
    "decides again when the object was %s meanwhile",
    async (what) => {
      if (what !== "created") await add("one");
      let interfered = false;
      api.before = ({ method }) => {
        if (interfered || method === undefined || method === "GET") return;
        interfered = true;
        if (what === "deleted") api.objects.delete(path);
        else api.put(collection, note("other"));
      };
      await add("mine");
      expect(words()).toBe(what === "deleted" ? "mine" : "other mine");
    },
  );

  test("gives up with a conflict when somebody is faster every time", async () => {
    await add("one");
    api.before = ({ method }) => {
      if (method === "PUT") api.put(collection, note("other"));
    };
    await expect(add("mine")).rejects.toMatchObject({
      code: "conflict",
      message: `Cannot change ${path}: it was changed by somebody else ${UPDATE_ATTEMPTS} times meanwhile`,
    });
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  createDirectoryDrainStore,
  createKubernetesDrainStore,
  drainsFromConfigMap,
} from "../../../../mesh/connect/drain-store.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import type { DrainRecord } from "../../../../mesh/kvstore/records/drain.ts";
import { testDrain } from "../../../fakes/drains.ts";
import { createMemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const never = new AbortController().signal;
const OBJECT = "/api/v1/namespaces/mesh/configmaps/tombolo-operations";
const add = (id: string) => (drains: readonly DrainRecord[]) => [...drains, testDrain({ id })];

describe("createDirectoryDrainStore()", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "tombolo-dr-store-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  test("both of two changes count that come at once", async () => {
    const store = createDirectoryDrainStore(root, { clock: systemClock });
    expect(await store.read(never)).toEqual([]);
    await Promise.all(["a", "b", "c"].map((id) => store.change(add(id), never)));
    expect((await store.read(never)).map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
  });

  test("leaves a file alone that it cannot read", async () => {
    const store = createDirectoryDrainStore(root, { clock: systemClock });
    await store.change(add("a"), never);
    await writeFile(join(root, "operations", "drains.json"), "{");
    await expect(store.change(add("b"), never)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("createKubernetesDrainStore()", () => {
  const open = () => {
    const api = createMemoryKubernetes();
    const options = { transport: api, namespace: "mesh", clock: systemClock };
    return { api, store: createKubernetesDrainStore(options) };
  };

  test("makes the object when there is none, and changes its key alone", async () => {
    const { api, store } = open();
    expect(await store.read(never)).toEqual([]);
    await store.change(add("a"), never);
    expect((await store.read(never)).map(({ id }) => id)).toEqual(["a"]);
    api.put("/api/v1/namespaces/mesh/configmaps", {
      ...api.objects.get(OBJECT),
      data: { other: "kept" },
    });
    await store.change(add("b"), never);
    expect(api.objects.get(OBJECT)).toMatchObject({ data: { other: "kept" } });
    expect((await store.read(never)).map(({ id }) => id)).toEqual(["b"]);
  });

  test("names object and key of what cannot be read", () => {
    const metadata = { name: "tombolo-operations", namespace: "mesh" };
    expect(() => drainsFromConfigMap({ metadata, data: { "drains.json": "{" } })).toThrow(
      "ConfigMap mesh/tombolo-operations, key drains.json",
    );
    expect(drainsFromConfigMap({ metadata, data: {} })).toEqual([]);
  });
});

import { beforeEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../../../mesh/core/clock.ts";
import type { InviteStore } from "../../../../mesh/connect/invite-store.ts";
import { createKubernetesInviteStore } from "../../../../mesh/connect/kubernetes-invites.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const collection = "/api/v1/namespaces/mesh/secrets";
let api: MemoryKubernetes;
let store: InviteStore;

beforeEach(() => {
  api = createMemoryKubernetes();
  store = createKubernetesInviteStore({ transport: api, namespace: "mesh", clock: systemClock });
});

describe("createKubernetesInviteStore()", () => {
  test("keeps invitations, a key each", async () => {
    expect(await store.list()).toEqual([]);
    const one = await store.create({ secretHash: "ab", expiresAtMs: 5 });
    const two = await store.create({ secretHash: "cd", expiresAtMs: 6 });
    const used = { ...one, use: { kind: "used", joiner: "west", atMs: 7 } } as const;
    await store.write(used);
    expect(await store.read(one.id)).toEqual(used);
    expect(await store.list()).toEqual([used, two]);
    await store.delete(one.id);
    await store.delete(one.id);
    expect(await store.list()).toEqual([two]);
  });

  test("deletes nothing where there is nothing", async () => {
    await store.delete("0".repeat(16));
    expect(api.objects.size).toBe(0);
  });

  test("does not undo what somebody else writes at the same time", async () => {
    const invite = await store.create({ secretHash: "ab", expiresAtMs: 5 });
    let others = 1;
    api.before = ({ method }) => {
      if (method !== "PUT" || others-- <= 0) return;
      const found: unknown = api.objects.get(`${collection}/tombolo-invites`);
      const secret = found as { data: object };
      const text = JSON.stringify({ ...invite, id: "f".repeat(16) });
      const data = { ...secret.data, ["f".repeat(16)]: Buffer.from(text).toString("base64") };
      api.put(collection, { ...secret, data });
    };
    await store.write({ ...invite, use: { kind: "used", joiner: "west", atMs: 7 } });
    expect((await store.list()).map(({ use }) => use.kind).sort()).toEqual(["open", "used"]);
  });

  test("answers for no id that is none", async () => {
    await store.create({ secretHash: "ab", expiresAtMs: 5 });
    for (const id of ["", "../x", "__proto__", "A".repeat(16)]) {
      expect(await store.read(id)).toBeUndefined();
    }
  });

  test("refuses more than anybody looks after", async () => {
    const data = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => {
        const id = String(i).padStart(16, "0");
        const text = JSON.stringify({
          id,
          secretHash: "ab",
          expiresAtMs: 5,
          use: { kind: "open" },
        });
        return [id, Buffer.from(text).toString("base64")];
      }),
    );
    api.put(collection, { metadata: { name: "tombolo-invites", namespace: "mesh" }, data });
    await expect(store.create({ secretHash: "ab", expiresAtMs: 5 })).rejects.toMatchObject({
      code: "resource_exhausted",
      hint: "kubectl -n mesh delete secret tombolo-invites forgets them all",
    });
  });
});

import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInviteStore } from "../../../../mesh/connect/invite-store.ts";

let root = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-cn-invites-"));
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe("createInviteStore()", () => {
  test("keeps invitations, readable by the owner only", async () => {
    const store = createInviteStore(root);
    expect(await store.list()).toEqual([]);
    const invite = await store.create({ secretHash: "ab", expiresAtMs: 5 });
    expect(await store.read(invite.id)).toEqual({
      id: invite.id,
      secretHash: "ab",
      expiresAtMs: 5,
      use: { kind: "open" },
    });
    const used = { ...invite, use: { kind: "used", joiner: "west", atMs: 7 } } as const;
    await store.write(used);
    expect(await store.list()).toEqual([used]);
    const [file = ""] = await readdir(join(root, "invites"));
    expect((await stat(join(root, "invites", file))).mode & 0o777).toBe(0o600);
    await store.delete(invite.id);
    expect(await store.read(invite.id)).toBeUndefined();
  });

  test("reads no file outside its directory, whatever the id", async () => {
    const store = createInviteStore(root);
    await writeFile(join(root, "secret.json"), "{}");
    for (const id of ["../secret", "", "..", "0".repeat(15), "ABCDEFABCDEFABCD"]) {
      expect(await store.read(id)).toBeUndefined();
    }
  });

  test("says which file is broken", async () => {
    const store = createInviteStore(root);
    const { id } = await store.create({ secretHash: "ab", expiresAtMs: 5 });
    await writeFile(join(root, "invites", `${id}.json`), "{");
    await expect(store.read(id)).rejects.toThrow(`${id}.json`);
    await writeFile(join(root, "invites", `${id}.json`), "{}");
    await expect(store.read(id)).rejects.toThrow("fields are missing");
  });

  test("has a limit", async () => {
    const store = createInviteStore(root);
    for (let i = 0; i < 100; i++) await store.create({ secretHash: "ab", expiresAtMs: 5 });
    await expect(store.create({ secretHash: "ab", expiresAtMs: 5 })).rejects.toMatchObject({
      code: "resource_exhausted",
    });
  });
});

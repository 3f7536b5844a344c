import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { createIdentityAllocator } from "../../../../apiserver/identity/allocator.ts";
import {
  parseIdentitySnapshot,
  readIdentitySnapshot,
  runIdentitySnapshot,
} from "../../../../apiserver/identity/snapshot.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";

describe("parseIdentitySnapshot()", () => {
  const bad = [
    "",
    "{}",
    "null",
    '{"next":1,"identities":[{"number":1,"labels":"x"}],"retired":[]}',
    '{"next":"1","identities":[],"retired":[]}',
  ];
  for (const text of bad) {
    test(`throws data_loss for ${JSON.stringify(text)}`, () => {
      expect(() => parseIdentitySnapshot(text, "/run/identities.json")).toThrow(
        'Cannot read identity snapshot "/run/identities.json": it is not one',
      );
    });
  }
});

describe("runIdentitySnapshot()", () => {
  test("keeps the file as the allocator's state is", async () => {
    const root = await mkdtemp(join(tmpdir(), "tombolo-as-identity-"));
    const path = join(root, "identities.json");
    expect(await readIdentitySnapshot(path)).toBeUndefined();
    const allocator = createIdentityAllocator({
      range: { first: 65_536, last: 131_071 },
      nowMs: systemClock.nowMs,
    });
    const abort = new AbortController();
    const running = runIdentitySnapshot({ path, allocator, clock: systemClock }, abort.signal);
    allocator.assign("a", ["x=1"]);
    await eventually(async () => (await readIdentitySnapshot(path))?.identities.length === 1);
    expect(await readIdentitySnapshot(path)).toEqual(allocator.state());
    abort.abort();
    await running;
    await writeFile(path, "half");
    await expect(readIdentitySnapshot(path)).rejects.toMatchObject({ code: "data_loss" });
    await rm(root, { recursive: true });
  });
});

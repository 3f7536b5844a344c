import { describe, expect, test } from "@jest/globals";
import { withLabLock } from "../../../../deploy/lab/lock.ts";

const NAME = `unit${process.pid}`;

describe("withLabLock()", () => {
  test("lets one in at a time, and the next one when it is done or has failed", async () => {
    await withLabLock(NAME, async () => {
      await expect(withLabLock(NAME, async () => "in")).rejects.toMatchObject({
        code: "conflict",
        hint: "wait for it, or end it",
      });
      expect(await withLabLock(`${NAME}b`, async () => "another lab")).toBe("another lab");
    });
    await expect(withLabLock(NAME, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await withLabLock(NAME, async () => "in")).toBe("in");
  });
});

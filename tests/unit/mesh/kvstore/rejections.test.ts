// Counting what was refused, in bounded memory.
import { describe, expect, test } from "@jest/globals";
import { Rejections } from "../../../../mesh/kvstore/rejections.ts";

describe("Rejections", () => {
  test("count by prefix and keep the latest reasons, cut to size", () => {
    const rejections = new Rejections();
    for (let i = 0; i < 1_000; i++) rejections.add("a/", `reason ${i} ${"x".repeat(10_000)}`);
    rejections.add("b/", "only");
    const snapshot = rejections.snapshot();
    expect(snapshot.get("a/")?.count).toBe(1_000);
    expect(snapshot.get("a/")?.latest.at(-1)).toMatch(/^reason 999 /);
    expect(JSON.stringify(snapshot.get("a/")).length).toBeLessThan(4_000);
    expect(snapshot.get("b/")).toEqual({ count: 1, latest: ["only"] });
  });

  test("snapshot() does not change afterwards", () => {
    const rejections = new Rejections();
    rejections.add("a/", "1");
    const snapshot = rejections.snapshot();
    rejections.add("a/", "2");
    expect(snapshot.get("a/")).toEqual({ count: 1, latest: ["1"] });
  });
});

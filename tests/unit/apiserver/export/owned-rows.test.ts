import { describe, expect, test } from "@jest/globals";
import { bufferTable } from "../../../../apiserver/export/desired.ts";
import { OwnedRows } from "../../../../apiserver/export/owned-rows.ts";

const rows = (...entries: [string, string][]) =>
  new Map(entries.map(([key, value]) => [key, Buffer.from(value)]));

describe("OwnedRows", () => {
  test("set() puts the first owner by name in force and promotes the next", () => {
    const table = bufferTable("test");
    const owned = new OwnedRows(table);
    owned.set("pod-b", rows(["10.1.0.5", "b"]));
    owned.set("pod-a", rows(["10.1.0.5", "a"]));
    expect(table.get("10.1.0.5")?.toString()).toBe("a");
    owned.set("pod-a", rows(["10.1.0.6", "a"]));
    expect(table.get("10.1.0.5")?.toString()).toBe("b");
    owned.set("pod-b", new Map());
    expect([...table.entries()].map(([key]) => key)).toEqual(["10.1.0.6"]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { createClusterIds } from "../../../../apiserver/mirror/cluster-ids.ts";

describe("createClusterIds()", () => {
  test("reserve() gives an id to the first and tells the others who has it", () => {
    const ids = createClusterIds({ id: 1, name: "east" });
    expect(ids.reserve(1, "west")).toBe("east");
    expect(ids.reserve(2, "west")).toBe("west");
    expect(ids.reserve(2, "west")).toBe("west");
    expect(ids.reserve(2, "north")).toBe("west");
  });

  test("reserve() of another id gives the former one back, as does release()", () => {
    const ids = createClusterIds({ id: 1, name: "east" });
    ids.reserve(2, "west");
    expect(ids.reserve(3, "west")).toBe("west");
    expect(ids.reserve(2, "north")).toBe("north");
    expect([...ids.held.entries()]).toEqual([
      ["west", 3],
      ["north", 2],
    ]);
    ids.release("west");
    ids.release("east");
    expect(ids.reserve(3, "south")).toBe("south");
    expect(ids.reserve(1, "south")).toBe("east");
  });
});

import { describe, expect, test } from "@jest/globals";
import { encodeDrainFile, parseDrainFile } from "../../../../mesh/drain/drain-file.ts";
import { testDrain } from "../../../fakes/drains.ts";

describe("parseDrainFile()", () => {
  test("reads what was written", () => {
    const drains = [testDrain(), testDrain({ id: "b", services: ["shop/cart"], clusterId: 2 })];
    expect(parseDrainFile(encodeDrainFile(drains), "drains.json")).toEqual(drains);
    expect(parseDrainFile(encodeDrainFile([]), "drains.json")).toEqual([]);
  });

  const refused: [string, string, string][] = [
    ["half a file", '{"version":1,', "not JSON"],
    ["another layout", '{"version":2,"drains":[]}', '"version" is 2, want 1'],
    ["a broken drain", '{"version":1,"drains":[{"id":"a"}]}', '"drains.0.cluster" is missing'],
    ["an id twice", encodeDrainFile([testDrain(), testDrain()]), "is there twice"],
  ];
  test.each(refused)("refuses %s, naming the file", (_, text, reason) => {
    expect(() => parseDrainFile(text, "drains.json")).toThrow(reason);
    expect(() => parseDrainFile(text, "drains.json")).toThrow('"drains.json"');
  });
});

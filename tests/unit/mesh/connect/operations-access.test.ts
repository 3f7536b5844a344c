import { describe, expect, test } from "@jest/globals";
import {
  encodeOperationsPlace,
  parseOperationsPlace,
} from "../../../../mesh/connect/operations-access.ts";

describe("parseOperationsPlace()", () => {
  test("reads what encodeOperationsPlace() wrote", () => {
    const place = { cluster: "east", servers: ["198.18.1.2:4222"] };
    expect(parseOperationsPlace(encodeOperationsPlace(place), "p")).toEqual(place);
  });

  for (const text of ["", "null", "{}", '{"cluster":"east"}', '{"cluster":"A","servers":[]}']) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseOperationsPlace(text, "p")).toThrow(/^Cannot use/);
    });
  }
});

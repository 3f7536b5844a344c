import { describe, expect, test } from "@jest/globals";
import {
  APISERVER_NODE,
  askSubject,
  drillFilter,
  drillSubject,
  eventFilter,
  eventSubject,
  partsOfEventSubject,
} from "../../../../mesh/operations/subjects.ts";

describe("subjects", () => {
  test("are made of names", () => {
    expect(eventSubject("east", "drain")).toBe("tombolo.events.east.drain");
    expect(drillSubject("east", "drill-1")).toBe("tombolo.drills.east.drill-1");
    expect(askSubject({ cluster: "east", node: "a.example" })).toBe("tombolo.ask.east.a.example");
    expect(askSubject({ cluster: "east", node: APISERVER_NODE })).toBe(
      "tombolo.ask.east._apiserver",
    );
  });

  test("cover what is asked for", () => {
    expect(eventFilter()).toBe("tombolo.events.*.*");
    expect(eventFilter({ cluster: "east", kind: "drill" })).toBe("tombolo.events.east.drill");
    expect(drillFilter()).toBe("tombolo.drills.*.*");
    expect(drillFilter({ cluster: "east", drill: "d" })).toBe("tombolo.drills.east.d");
  });

  for (const name of ["*", ">", "a.b", "", "east.*", "A", "a b"]) {
    test(`are not made of ${JSON.stringify(name)}`, () => {
      expect(() => eventSubject(name, "drain")).toThrow(/^Cannot use/);
      expect(() => drillSubject("east", name)).toThrow(/^Cannot use/);
      if (name !== "a.b") {
        expect(() => askSubject({ cluster: "east", node: name })).toThrow(/^Cannot ask node/);
      }
    });
  }
});

describe("partsOfEventSubject()", () => {
  test("reads what eventSubject() wrote, and nothing else", () => {
    expect(partsOfEventSubject("tombolo.events.east.drain")).toEqual({
      cluster: "east",
      kind: "drain",
    });
    for (const subject of ["tombolo.events.east.x", "tombolo.drills.east.drain", "drain", ""]) {
      expect(partsOfEventSubject(subject)).toBeUndefined();
    }
  });
});

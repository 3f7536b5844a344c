import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../mesh/core/errors.ts";
import {
  formatJson,
  formatTable,
  parseOutputFormat,
  printError,
  styled,
  type Output,
} from "../../../mesh/terminal.ts";

function capture({ colour }: { colour: boolean }): { output: Output; text: () => string } {
  let written = "";
  return {
    output: {
      colour,
      write: (text) => {
        written += text;
      },
    },
    text: () => written,
  };
}

describe("parseOutputFormat()", () => {
  test("is a table unless json is asked for", () => {
    expect(parseOutputFormat(undefined)).toBe("table");
    expect(parseOutputFormat("table")).toBe("table");
    expect(parseOutputFormat("json")).toBe("json");
  });

  test("refuses another format and says which there are", () => {
    expect(() => parseOutputFormat("yaml")).toThrow(
      'Cannot use --output "yaml": want table or json',
    );
  });
});

describe("formatTable()", () => {
  const columns = [
    { header: "NAME", text: (row: { name: string; n: number }) => row.name },
    { header: "COUNT", align: "right", text: (row: { n: number }) => String(row.n) },
    { header: "NOTE", text: (row: { n: number }) => (row.n > 9 ? "many" : "") },
  ] as const;

  test("aligns columns and leaves no blanks at the ends of lines", () => {
    const rows = [
      { name: "east", n: 7 },
      { name: "west-with-a-long-name", n: 12_345 },
    ];
    expect(formatTable(columns, rows)).toBe(
      [
        "NAME                   COUNT  NOTE",
        "east                       7",
        "west-with-a-long-name  12345  many",
        "",
      ].join("\n"),
    );
  });

  test("prints the header also above no rows", () => {
    expect(formatTable(columns, [])).toBe("NAME  COUNT  NOTE\n");
  });
});

describe("formatJson()", () => {
  test("writes bigints as strings, maps as objects, sets as lists", () => {
    const value = {
      revision: 2n ** 60n,
      ports: new Map([["http", { port: 80 }]]),
      set: new Set([1]),
    };
    const text = formatJson(value);
    expect(JSON.parse(text)).toEqual({
      revision: "1152921504606846976",
      ports: { http: { port: 80 } },
      set: [1],
    });
    expect(text.endsWith("}\n")).toBe(true);
    expect(text).toContain('\n  "revision"');
  });
});

describe("styled()", () => {
  test("colours only where a person looks", () => {
    expect(styled(capture({ colour: true }).output, "red", "x")).toBe("\u001b[31mx\u001b[0m");
    expect(styled(capture({ colour: false }).output, "red", "x")).toBe("x");
  });
});

describe("printError()", () => {
  test("says what is wrong with its causes, and the hint of each", () => {
    const { output, text } = capture({ colour: false });
    const cause = new MeshError("unavailable", "Cannot reach 10.0.0.1:2379", {
      hint: "is it started?",
    });
    printError(
      output,
      new MeshError("unavailable", "Cannot connect", { cause, hint: "try again" }),
    );
    expect(text()).toBe(
      [
        "mesh: error: Cannot connect: Cannot reach 10.0.0.1:2379",
        "mesh: hint: try again",
        "mesh: hint: is it started?",
        "",
      ].join("\n"),
    );
  });

  test("prints also what is no error", () => {
    const { output, text } = capture({ colour: false });
    printError(output, "broken");
    expect(text()).toBe("mesh: error: broken\n");
  });
});
